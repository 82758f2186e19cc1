//! Instances and bindings from their making to their end, synchronous and not.

use std::time::Duration;

use dispatch_osb::client::{Fetched, Outcome, Polled, RefusalCode};
use dispatch_osb::fake::{CallKind, End, OperationName, Standing, Work, ids};
use dispatch_osb::types::{BindBody, MaintenanceVersion, PreviousValues, UpdateBody};
use serde_json::json;

use crate::common::{Pair, bind_body, binding_target, context, object, provision_body, target};

/// OSB-080 … OSB-087, OSB-150 … OSB-152, OSB-180, OSB-186
#[tokio::test]
async fn everything_synchronous_leaves_nothing_behind() {
    let pair = Pair::new().await;
    pair.provisioned("i").await;
    let bound = pair.client.send_bind(&pair.prepared_bind("i", "b"), &context()).await;
    let Outcome::Done(document) = bound else { panic!("{bound:?}") };
    let credentials = document.credentials.expect("credentials");
    assert_eq!(credentials["nested"], json!({"list": [1, "two", null]}));
    let books = pair.broker.books();
    assert_eq!(books.instances["i"].parameters, Some(object(json!({"size": 3}))));
    assert_eq!(books.bindings["b"].instance_id, "i");
    let unbound = pair.client.unbind(&binding_target("i", "b"), &context()).await;
    assert_eq!(unbound, Outcome::Done(()));
    assert_eq!(pair.client.deprovision(&target("i"), &context()).await, Outcome::Done(()));
    assert_eq!(pair.client.deprovision(&target("i"), &context()).await, Outcome::Gone);
    let books = pair.finish().await;
    assert!(books.is_empty());
    let deleted = &books.requests_of(CallKind::Unbind)[0];
    assert_eq!(deleted.parameter("service_id").as_deref(), Some(ids::DATABASE));
    assert_eq!(deleted.parameter("plan_id").as_deref(), Some(ids::SMALL));
    assert_eq!(deleted.parameter("accepts_incomplete").as_deref(), Some("true"));
    assert!(deleted.body.is_empty());
}

/// OSB-100, OSB-101, OSB-103, OSB-107
#[tokio::test]
async fn an_asynchronous_creation_is_polled_to_its_end() {
    let pair = Pair::with(|settings| {
        settings.provision = Work {
            progress: vec!["creating role".to_owned(), "creating database".to_owned()],
            ..Work::polls(3)
        };
        settings.retry_after = Some("3".to_owned());
    })
    .await;
    let outcome = pair.client.send_provision(&pair.prepared("i"), &context()).await;
    let Outcome::Accepted { answer, operation, retry_after } = outcome else {
        panic!("{outcome:?}")
    };
    // OSB-088: the dashboard is known from the first answer on.
    assert_eq!(answer.dashboard_url.as_deref(), Some("https://dashboard.example/i"));
    assert_eq!(retry_after, Some(Duration::from_secs(3)));
    let mut said = Vec::new();
    let end = loop {
        let poll = pair.client.poll_instance(&target("i"), operation.as_deref(), &context()).await;
        match poll {
            Polled::InProgress { description, retry_after } => {
                assert_eq!(retry_after, Some(Duration::from_secs(3)));
                said.extend(description);
            }
            end => break end,
        }
    };
    assert_eq!(said, ["creating role", "creating database", "creating database"]);
    assert_eq!(end, Polled::Succeeded { description: None });
    let books = pair.finish().await;
    assert_eq!(books.instances["i"].standing, Standing::Ready);
    let poll = &books.requests_of(CallKind::PollInstance)[0];
    assert_eq!(poll.parameter("operation"), operation);
    assert_eq!(poll.parameter("service_id").as_deref(), Some(ids::DATABASE));
}

/// OSB-011, OSB-101: the operation comes back as it was, or not at all.
#[tokio::test]
async fn an_operation_is_returned_unchanged_or_left_out() {
    for operation in [OperationName::Starting("x=1&y#z %é+".to_owned()), OperationName::Absent] {
        let pair = Pair::with(|settings| {
            settings.provision = Work { operation: operation.clone(), ..Work::polls(1) };
        })
        .await;
        let outcome = pair.client.send_provision(&pair.prepared("i"), &context()).await;
        let Outcome::Accepted { operation, .. } = outcome else { panic!("{outcome:?}") };
        let end = pair.settled("i", operation.as_deref()).await;
        assert!(matches!(end, Polled::Succeeded { .. }), "{end:?}");
        let books = pair.finish().await;
        let poll = &books.requests_of(CallKind::PollInstance)[0];
        assert_eq!(poll.parameter("operation"), operation);
    }
}

/// OSB-105, OSB-200: what a failed creation leaves is removed by a DELETE.
#[tokio::test]
async fn a_failed_creation_leaves_something_until_it_is_deleted() {
    let pair = Pair::with(|settings| {
        settings.provision = Work::polls(0).ending(End::fail("no disk left"));
    })
    .await;
    let outcome = pair.client.send_provision(&pair.prepared("i"), &context()).await;
    let Outcome::Accepted { operation, .. } = outcome else { panic!("{outcome:?}") };
    let failed = pair.settled("i", operation.as_deref()).await;
    let description = Some("no disk left".to_owned());
    let expect = Polled::Failed { description, instance_usable: true, update_repeatable: true };
    assert_eq!(failed, expect);
    assert_eq!(pair.broker.books().instances["i"].standing, Standing::CreateFailed);
    assert_eq!(pair.client.deprovision(&target("i"), &context()).await, Outcome::Done(()));
    assert!(pair.finish().await.is_empty());
}

/// OSB-090: the same bytes answer the same, other attributes are a conflict.
#[tokio::test]
async fn a_repeated_creation_answers_the_same_and_another_one_conflicts() {
    let pair = Pair::with(|settings| settings.provision = Work::held()).await;
    let prepared = pair.prepared("i");
    let first = pair.client.send_provision(&prepared, &context()).await;
    let stored = serde_json::to_string(&prepared).unwrap();
    let restored = serde_json::from_str(&stored).unwrap();
    assert_eq!(prepared, restored);
    assert_eq!(pair.client.send_provision(&restored, &context()).await, first);
    let mut other = provision_body();
    other.parameters = None;
    let other = pair.client.prepare_provision("i", &other);
    let outcome = pair.client.send_provision(&other, &context()).await;
    assert!(matches!(&outcome, Outcome::Rejected(it) if it.status == 409), "{outcome:?}");
    pair.broker.release();
    let Outcome::Accepted { operation, .. } = first else { panic!("{first:?}") };
    pair.settled("i", operation.as_deref()).await;
    let again = pair.client.send_provision(&prepared, &context()).await;
    assert!(matches!(again, Outcome::Done(_)), "{again:?}");
    let books = pair.finish().await;
    let sent = books.requests_of(CallKind::Provision);
    assert_eq!(sent[0].body, sent[1].body);
    assert_eq!(sent[0].body, prepared.body);
    assert_eq!(sent[0].query, sent[3].query);
}

/// OSB-085, OSB-130: what the user did not give is not sent.
#[tokio::test]
async fn absent_fields_are_not_sent() {
    let pair = Pair::new().await;
    let mut body = provision_body();
    body.parameters = None;
    let prepared = pair.client.prepare_provision("i", &body);
    pair.client.send_provision(&prepared, &context()).await;
    let change = UpdateBody {
        service_id: ids::DATABASE.to_owned(),
        plan_id: Some(ids::LARGE.to_owned()),
        previous_values: Some(PreviousValues {
            plan_id: Some(ids::SMALL.to_owned()),
            ..PreviousValues::default()
        }),
        ..UpdateBody::default()
    };
    let update = pair.client.prepare_update("i", &change);
    let updated = pair.client.send_update(&update, &context()).await;
    assert!(matches!(updated, Outcome::Done(_)), "{updated:?}");
    let books = pair.finish().await;
    assert!(books.requests[0].json().get("parameters").is_none());
    let expect = json!({
        "service_id": ids::DATABASE, "plan_id": ids::LARGE,
        "previous_values": {"plan_id": ids::SMALL},
    });
    assert_eq!(books.requests[1].json(), expect);
    assert_eq!(books.instances["i"].plan_id, ids::LARGE);
}

/// OSB-102, OSB-132, OSB-135, OSB-136, OSB-138
#[tokio::test]
async fn a_failed_update_says_what_is_left_and_changes_nothing() {
    let pair = Pair::with(|settings| {
        settings.update = Work::polls(1).ending(End::Fail {
            description: "does not fit".to_owned(),
            instance_usable: Some(false),
            update_repeatable: Some(false),
            remains: true,
        });
    })
    .await;
    pair.provisioned("i").await;
    let change = UpdateBody {
        service_id: ids::DATABASE.to_owned(),
        plan_id: Some(ids::LARGE.to_owned()),
        maintenance_info: Some(MaintenanceVersion { version: Some("1.0.0".to_owned()) }),
        ..UpdateBody::default()
    };
    let update = pair.client.prepare_update("i", &change);
    let outcome = pair.client.send_update(&update, &context()).await;
    let Outcome::Accepted { operation, .. } = outcome else { panic!("{outcome:?}") };
    // While it runs, anything else is refused without harm (OSB-190).
    let busy = pair.client.send_bind(&pair.prepared_bind("i", "b"), &context()).await;
    assert!(matches!(busy, Outcome::Busy { .. }), "{busy:?}");
    assert_eq!(pair.client.get_instance(&target("i"), &context()).await, Fetched::Busy);
    let failed = pair.settled("i", operation.as_deref()).await;
    let description = Some("does not fit".to_owned());
    let expect = Polled::Failed { description, instance_usable: false, update_repeatable: false };
    assert_eq!(failed, expect);
    let books = pair.finish().await;
    assert_eq!(books.instances["i"].plan_id, ids::SMALL);
}

/// OSB-067, OSB-086
#[tokio::test]
async fn a_stale_maintenance_version_is_a_refusal() {
    let pair = Pair::new().await;
    let mut body = provision_body();
    body.plan_id = ids::LARGE.to_owned();
    body.maintenance_info = Some(MaintenanceVersion { version: Some("0.9.0".to_owned()) });
    let prepared = pair.client.prepare_provision("i", &body);
    let outcome = pair.client.send_provision(&prepared, &context()).await;
    let Outcome::Rejected(refusal) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.code, Some(RefusalCode::MaintenanceInfoConflict));
    assert!(pair.finish().await.is_empty());
}

/// OSB-110, OSB-120, OSB-123
#[tokio::test]
async fn an_asynchronous_binding_is_fetched_after_its_success() {
    let pair = Pair::with(|settings| {
        settings.bind = Work::polls(2);
        settings.unbind = Work::polls(1);
        settings.credentials_once = true;
    })
    .await;
    pair.provisioned("i").await;
    let binding = binding_target("i", "b");
    let outcome = pair.client.send_bind(&pair.prepared_bind("i", "b"), &context()).await;
    let Outcome::Accepted { answer, operation, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(answer.credentials, None);
    let early = pair.client.get_binding(&binding, &[], &context()).await;
    assert_eq!(early, Fetched::Absent);
    let end = pair.settled_binding(&binding, operation.as_deref()).await;
    assert_eq!(end, Polled::Succeeded { description: None });
    let first = pair.client.get_binding(&binding, &[], &context()).await;
    assert!(matches!(&first, Fetched::Found(it) if it.credentials.is_some()), "{first:?}");
    let second = pair.client.get_binding(&binding, &[], &context()).await;
    assert!(matches!(&second, Fetched::Found(it) if it.credentials.is_none()), "{second:?}");
    let outcome = pair.client.unbind(&binding, &context()).await;
    let Outcome::Accepted { operation, .. } = outcome else { panic!("{outcome:?}") };
    let end = pair.settled_binding(&binding, operation.as_deref()).await;
    assert_eq!(end, Polled::Succeeded { description: None });
    assert_eq!(pair.settled_binding(&binding, operation.as_deref()).await, Polled::Gone);
    assert!(pair.finish().await.bindings.is_empty());
}

/// OSB-017, OSB-110: a platform that cannot fetch must not be answered asynchronously.
#[tokio::test]
async fn async_required_is_recognised_by_its_code() {
    let pair = Pair::with(|settings| settings.bind = Work::polls(1)).await;
    pair.provisioned("i").await;
    let prepared = pair.client.prepare_bind("i", "b", &bind_body(), false, &[]);
    assert_eq!(prepared.query, "");
    let outcome = pair.client.send_bind(&prepared, &context()).await;
    let Outcome::Rejected(refusal) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.code, Some(RefusalCode::AsyncRequired));
    assert!(pair.finish().await.bindings.is_empty());
}

/// OSB-151
#[tokio::test]
async fn a_service_that_requires_an_app_gets_one() {
    let pair = Pair::with(|settings| settings.requires_app = true).await;
    pair.provisioned("i").await;
    let without = BindBody { app_guid: None, bind_resource: None, ..bind_body() };
    let prepared = pair.client.prepare_bind("i", "b", &without, true, &[]);
    let outcome = pair.client.send_bind(&prepared, &context()).await;
    let Outcome::Rejected(refusal) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.code, Some(RefusalCode::RequiresApp));
    let outcome = pair.client.send_bind(&pair.prepared_bind("i", "b"), &context()).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let books = pair.finish().await;
    let sent = books.requests_of(CallKind::Bind)[1].json();
    assert_eq!(
        (&sent["app_guid"], &sent["bind_resource"]["app_guid"]),
        (&json!("app-1"), &json!("app-1"))
    );
}

/// OSB-170, OSB-171, OSB-172
#[tokio::test]
async fn a_successor_is_bound_while_its_predecessor_stays() {
    let pair = Pair::new().await;
    let mut body = provision_body();
    body.plan_id = ids::ROTATING.to_owned();
    let prepared = pair.client.prepare_provision("i", &body);
    pair.client.send_provision(&prepared, &context()).await;
    for (binding, predecessor) in [("b1", None), ("b2", Some("b1".to_owned()))] {
        let body = BindBody {
            plan_id: ids::ROTATING.to_owned(),
            predecessor_binding_id: predecessor,
            ..bind_body()
        };
        let prepared = pair.client.prepare_bind("i", binding, &body, true, &[]);
        let outcome = pair.client.send_bind(&prepared, &context()).await;
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
    let books = pair.finish().await;
    assert_eq!(books.bindings.len(), 2);
    assert_ne!(books.bindings["b1"].credentials, books.bindings["b2"].credentials);
}

/// OSB-184: the broker stops the creation, or is busy.
#[tokio::test]
async fn a_deletion_during_the_creation_stops_it_or_is_told_to_wait() {
    for halts in [true, false] {
        let pair = Pair::with(|settings| {
            settings.provision = Work::held();
            settings.delete_halts_creation = halts;
        })
        .await;
        let outcome = pair.client.send_provision(&pair.prepared("i"), &context()).await;
        let Outcome::Accepted { operation, .. } = outcome else { panic!("{outcome:?}") };
        let deleted = pair.client.deprovision(&target("i"), &context()).await;
        if halts {
            assert_eq!(deleted, Outcome::Done(()));
        } else {
            assert!(matches!(deleted, Outcome::Busy { .. }), "{deleted:?}");
            pair.broker.release();
            pair.settled("i", operation.as_deref()).await;
            assert_eq!(pair.client.deprovision(&target("i"), &context()).await, Outcome::Done(()));
        }
        assert!(pair.finish().await.is_empty());
    }
}

/// OSB-159, OSB-192
#[tokio::test]
async fn a_strict_broker_takes_one_binding_at_a_time() {
    let pair = Pair::with(|settings| {
        settings.strictly_serial = true;
        settings.bind = Work::held();
    })
    .await;
    pair.provisioned("i").await;
    let first = pair.client.send_bind(&pair.prepared_bind("i", "b1"), &context()).await;
    assert!(matches!(first, Outcome::Accepted { .. }), "{first:?}");
    let second = pair.client.send_bind(&pair.prepared_bind("i", "b2"), &context()).await;
    assert!(matches!(second, Outcome::Busy { .. }), "{second:?}");
    assert_eq!(pair.finish().await.bindings.len(), 1);
}

/// OSB-121: what is changed behind our back can be seen.
#[tokio::test]
async fn drift_is_seen_by_fetching() {
    let pair = Pair::new().await;
    pair.provisioned("i").await;
    pair.broker.edit(|books| {
        books.instances.get_mut("i").unwrap().plan_id = ids::LARGE.to_owned();
    });
    let fetched = pair.client.get_instance(&target("i"), &context()).await;
    let Fetched::Found(document) = fetched else { panic!("{fetched:?}") };
    assert_eq!(document.plan_id.as_deref(), Some(ids::LARGE));
    pair.broker.edit(|books| books.instances.clear());
    assert_eq!(pair.client.get_instance(&target("i"), &context()).await, Fetched::Absent);
    assert_eq!(pair.client.deprovision(&target("i"), &context()).await, Outcome::Gone);
    pair.finish().await;
}

/// The books notice what a platform must not do, so that a test of one can.
#[tokio::test]
async fn the_books_name_the_obligation_that_is_broken() {
    let pair = Pair::new().await;
    pair.provisioned("i").await;
    pair.client.send_bind(&pair.prepared_bind("i", "b"), &context()).await;
    let refused = pair.client.deprovision(&target("i"), &context()).await;
    assert!(matches!(refused, Outcome::Rejected(_)), "{refused:?}");
    pair.client.unbind(&binding_target("i", "b"), &context()).await;
    let same = context();
    pair.client.deprovision(&target("i"), &same).await;
    pair.client.send_provision(&pair.prepared("i"), &same).await;
    let seen: Vec<_> = pair.broker.finish().await.violations;
    let starts: Vec<_> = seen.iter().map(|text| &text[..7]).collect();
    assert_eq!(starts, ["OSB-181", "OSB-010", "OSB-080"], "{seen:?}");
}
