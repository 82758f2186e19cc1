//! What every back end has to do. Each case is a function of a harness and is listed here, once.

pub(crate) mod audit;
pub(crate) mod batches;
pub(crate) mod blobs;
pub(crate) mod changes;
pub(crate) mod lifecycle;
pub(crate) mod objects;
pub(crate) mod preconditions;
pub(crate) mod runs;
pub(crate) mod scopes;
pub(crate) mod secrets;

/// Hands the list to the macro `$run`, which makes a test of each case.
macro_rules! cases {
    ($run:ident) => {
        $run! {
            audit:
                a_request_leaves_exactly_one_row,
                the_system_leaves_none,
                a_refused_request_leaves_none,
                rows_are_filtered_and_paged;
            batches:
                nothing_of_a_refused_batch_is_stored,
                a_refused_batch_does_not_fail_its_neighbours,
                concurrent_batches_share_a_sync,
                numbers_grow_by_one_for_each_stored_batch,
                of_concurrent_creates_of_one_name_one_wins,
                a_batch_has_a_greatest_size;
            blobs:
                a_blob_is_stored_once_and_read_by_its_digest,
                a_blob_that_is_not_stored_cannot_be_held,
                only_what_nobody_holds_is_swept,
                a_status_holds_blobs_of_its_own;
            changes:
                every_write_of_an_object_is_told_in_order,
                a_change_is_told_before_commit_returns,
                a_refused_batch_tells_nothing,
                a_slow_receiver_is_told_that_it_lagged,
                a_receiver_learns_that_the_store_was_closed;
            lifecycle:
                everything_is_there_after_a_restart,
                a_closed_store_says_so,
                close_finishes_what_was_asked_for;
            objects:
                an_object_is_read_as_it_was_written,
                a_name_is_taken_once_in_an_organization_and_kind,
                an_id_is_taken_once,
                a_name_is_free_again_after_delete,
                a_spec_is_saved_only_over_the_generation_that_was_read,
                a_status_is_saved_only_over_the_revision_that_was_read,
                a_change_of_the_spec_does_not_make_a_status_unsaveable,
                delete_needs_both_counters,
                what_is_gone_cannot_be_saved,
                a_list_is_in_the_order_of_names,
                a_list_is_paged_by_name,
                a_page_has_bounds,
                a_kind_sees_only_its_own,
                objects_are_found_by_what_they_refer_to,
                a_form_of_a_newer_version_is_one_unreadable_object,
                a_damaged_form_is_one_unreadable_object_that_can_be_deleted;
            preconditions:
                what_is_required_must_be_as_it_was_read,
                what_is_required_must_not_be_marked_for_deletion,
                what_nobody_may_refer_to_is_looked_at_in_its_place,
                a_precondition_alone_writes_and_tells_nothing;
            runs:
                a_run_is_read_as_it_was_written,
                a_run_is_inserted_once,
                a_run_is_updated_only_from_the_expected_state,
                a_recorded_run_is_stored_soon,
                a_recorded_run_replaces_its_earlier_record,
                a_record_that_is_too_big_is_dropped_and_harms_nobody,
                recorded_runs_are_stored_at_close,
                runs_are_listed_newest_first,
                runs_are_filtered_and_paged,
                a_page_of_runs_ends_before_its_bodies_are_too_large,
                unfinished_runs_are_listed_oldest_first,
                old_and_surplus_runs_are_pruned_when_they_are_done;
            scopes:
                another_organizations_objects_never_appear,
                another_organizations_secrets_never_appear,
                another_organizations_runs_never_appear,
                another_organizations_objects_cannot_be_written,
                the_system_sees_everything,
                a_name_that_two_organizations_use_is_ambiguous_for_the_system;
            secrets:
                values_are_read_as_they_were_written,
                versions_live_side_by_side,
                a_version_is_sealed_once,
                sealed_bytes_are_deleted_and_may_be_sealed_again,
                sealing_is_part_of_its_batch,
                rewrap_puts_everything_under_the_newest_key,
                rewrap_refuses_keys_that_leave_out_one_in_use;
        }
    };
}

pub(crate) use cases;
