//! Run records.

use dispatch_store::{Batch, CommitError, RunFilter, RunRecord, RunState, UnfinishedRun};
use uuid::Uuid;

use crate::harness::{Harness, eventually};

async fn insert(h: &Harness, run: &RunRecord) {
    h.store().commit(Batch::system("test").insert_run(run)).await.unwrap();
}

pub(crate) async fn a_run_is_read_as_it_was_written(h: &Harness) {
    let org = h.organization(1);
    let mut run = h.run(&org, h.id(), RunState::Done);
    run.finished = Some(h.now());
    run.body = r#"{"text":"größer"}"#.to_owned();
    insert(h, &run).await;
    assert_eq!(h.store().run(&org, run.id).await.unwrap(), Some(run));
    assert_eq!(h.store().run(&org, h.id()).await.unwrap(), None);
}

pub(crate) async fn a_run_is_inserted_once(h: &Harness) {
    let org = h.organization(1);
    let run = h.run(&org, h.id(), RunState::Executing);
    insert(h, &run).await;
    match h.store().commit(Batch::system("test").insert_run(&run)).await {
        Err(CommitError::RunConflict { id, found: Some(RunState::Executing) }) => {
            assert_eq!(id, run.id);
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_run_is_updated_only_from_the_expected_state(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let mut run = h.run(&org, h.id(), RunState::Waiting);
    insert(h, &run).await;
    run.state = RunState::Executing;
    let start = |run: &RunRecord| Batch::system("test").update_run(run, RunState::Waiting);
    store.commit(start(&run)).await.unwrap();
    let twice = store.commit(start(&run)).await;
    assert!(
        matches!(twice, Err(CommitError::RunConflict { found: Some(RunState::Executing), .. })),
        "{twice:?}"
    );
    run.state = RunState::Done;
    run.finished = Some(h.now());
    run.body = "{}".to_owned();
    let end = Batch::system("test").update_run(&run, RunState::Executing);
    store.commit(end).await.unwrap();
    assert_eq!(store.run(&org, run.id).await.unwrap(), Some(run.clone()));

    run.id = h.id();
    let gone = store.commit(start(&run)).await;
    assert!(matches!(gone, Err(CommitError::RunConflict { found: None, .. })), "{gone:?}");
}

pub(crate) async fn a_recorded_run_is_stored_soon(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let before = store.counters();
    let runs: Vec<_> = (0..500).map(|_| h.run(&org, h.id(), RunState::Done)).collect();
    runs.iter().for_each(|run| store.record_run(run.clone()));
    eventually(|| async {
        let counters = store.counters();
        let recorded = counters.recorded_runs - before.recorded_runs;
        if recorded == 500 { Ok(()) } else { Err(format!("{recorded} of 500")) }
    })
    .await;
    for run in &runs {
        assert_eq!(store.run(&org, run.id).await.unwrap().as_ref(), Some(run));
    }
    let counters = store.counters();
    assert_eq!(counters.dropped_runs, 0);
    let commits = counters.commits - before.commits;
    assert!(commits < 100, "in groups: {commits} syncs for 500 records");
}

pub(crate) async fn a_recorded_run_replaces_its_earlier_record(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let mut run = h.run(&org, h.id(), RunState::Executing);
    insert(h, &run).await;
    run.state = RunState::Done;
    run.finished = Some(h.now());
    store.record_run(run.clone());
    let mut forged = run.clone();
    forged.organization = h.organization(2).organization();
    forged.body = "forged".to_owned();
    store.record_run(forged);
    h.restart().await;
    assert_eq!(h.store().run(&org, run.id).await.unwrap(), Some(run));
}

pub(crate) async fn recorded_runs_are_stored_at_close(h: &Harness) {
    let org = h.organization(1);
    let runs: Vec<_> = (0..3_000).map(|_| h.run(&org, h.id(), RunState::Done)).collect();
    let store = h.store();
    runs.iter().for_each(|run| store.record_run(run.clone()));
    h.restart().await;
    for run in [&runs[0], &runs[1_500], &runs[2_999]] {
        assert_eq!(h.store().run(&org, run.id).await.unwrap().as_ref(), Some(run));
    }
}

pub(crate) async fn a_record_that_is_too_big_is_dropped_and_harms_nobody(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let mut run = h.run(&org, h.id(), RunState::Done);
    run.body = "x".repeat((64 << 20) + 1);
    store.record_run(run.clone());
    assert_eq!(store.counters().dropped_runs, 1);
    run.id = h.id();
    run.body.truncate(1);
    store.record_run(run.clone());
    eventually(|| async {
        let found = store.run(&org, run.id).await.unwrap();
        found.map(|_| ()).ok_or_else(|| "the small one is not stored".to_owned())
    })
    .await;
    h.created(&org, "hello").await;
}

pub(crate) async fn runs_are_listed_newest_first(h: &Harness) {
    let org = h.organization(1);
    let runs: Vec<_> = (0..4).map(|_| h.run(&org, h.id(), RunState::Done)).collect();
    for n in [2, 0, 3, 1] {
        insert(h, &runs[n]).await;
    }
    let listed = h.store().runs(&org, &RunFilter::default()).await.unwrap().runs;
    let expect: Vec<_> = runs.into_iter().rev().collect();
    assert_eq!(listed, expect);
}

pub(crate) async fn runs_are_filtered_and_paged(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let functions = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let runs: Vec<_> =
        [0, 1, 0, 0, 1].map(|f| h.run(&org, functions[f], RunState::Done)).into_iter().collect();
    for run in &runs {
        insert(h, run).await;
    }
    let check = async |filter: RunFilter, expect: &[usize]| {
        let listed = store.runs(&org, &filter).await.unwrap().runs;
        let listed: Vec<_> = listed.into_iter().map(|run| run.id).collect();
        let expect: Vec<_> = expect.iter().map(|n| runs[*n].id).collect();
        assert_eq!(listed, expect, "{filter:?}");
    };
    let all = RunFilter::default;
    check(RunFilter { function: Some(functions[0]), ..all() }, &[3, 2, 0]).await;
    check(RunFilter { since: Some(runs[3].created), ..all() }, &[4, 3]).await;
    check(RunFilter { limit: 2, ..all() }, &[4, 3]).await;
    check(RunFilter { limit: 0, ..all() }, &[4]).await;
    check(RunFilter { after: Some(runs[3].id), limit: 2, ..all() }, &[2, 1]).await;
    let both = RunFilter {
        function: Some(functions[1]),
        since: Some(runs[2].created),
        after: Some(runs[4].id),
        ..all()
    };
    check(both, &[]).await;

    let many = (0..RunFilter::LIMIT_MAX).map(|_| h.run(&org, functions[0], RunState::Done));
    let batch = many.fold(Batch::system("test"), |batch, run| batch.insert_run(&run));
    store.commit(batch).await.unwrap();
    let greatest = RunFilter { limit: usize::MAX, ..all() };
    let page = store.runs(&org, &greatest).await.unwrap();
    assert_eq!((page.runs.len(), page.more), (RunFilter::LIMIT_MAX, true));
    let last = RunFilter { after: Some(runs[0].id), ..all() };
    assert!(!store.runs(&org, &last).await.unwrap().more);
}

pub(crate) async fn a_page_of_runs_ends_before_its_bodies_are_too_large(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    for _ in 0..3 {
        let mut run = h.run(&org, h.id(), RunState::Done);
        // In bytes, not in characters.
        run.body = format!("\"{}\"", "é".repeat(49));
        insert(h, &run).await;
    }
    for (bytes, expect) in
        [(0, (1, true)), (199, (1, true)), (200, (2, true)), (299, (2, true)), (300, (3, false))]
    {
        let filter = RunFilter { bytes, ..RunFilter::default() };
        let page = store.runs(&org, &filter).await.unwrap();
        assert_eq!((page.runs.len(), page.more), expect, "{bytes}");
    }
    let none = RunFilter { after: Some(uuid::Uuid::nil()), ..RunFilter::default() };
    let page = store.runs(&org, &none).await.unwrap();
    assert_eq!((page.runs.len(), page.more), (0, false));
}

pub(crate) async fn unfinished_runs_are_listed_oldest_first(h: &Harness) {
    let store = h.store();
    let mut expect = Vec::new();
    for (number, state) in [
        (1, RunState::Waiting),
        (2, RunState::Done),
        (2, RunState::Executing),
        (1, RunState::Waiting),
    ] {
        let run = h.run(&h.organization(number), h.id(), state);
        insert(h, &run).await;
        expect.extend((state != RunState::Done).then_some(UnfinishedRun {
            id: run.id,
            organization: run.organization,
            function: run.function,
            state,
            bytes: run.body.len() as u64,
        }));
    }
    assert_eq!(store.unfinished_runs(&h.system()).await.unwrap(), expect);
}

pub(crate) async fn old_and_surplus_runs_are_pruned_when_they_are_done(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let functions = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let mut runs = Vec::new();
    for (function, state) in [
        (0, RunState::Done),
        (0, RunState::Waiting),
        (1, RunState::Done),
        (0, RunState::Done),
        (0, RunState::Done),
        (0, RunState::Done),
    ] {
        let run = h.run(&org, functions[function], state);
        insert(h, &run).await;
        runs.push(run);
    }
    let left = async || {
        let left = store.runs(&org, &RunFilter::default()).await.unwrap().runs;
        let place = |run: &RunRecord| runs.iter().position(|other| other.id == run.id).unwrap();
        left.iter().map(place).collect::<Vec<_>>()
    };
    assert_eq!(store.prune_runs(&h.system(), runs[0].created, 5).await.unwrap(), 0);
    assert_eq!(store.prune_runs(&h.system(), runs[0].created, 2).await.unwrap(), 2);
    assert_eq!(left().await, [5, 4, 2, 1], "two done ones of each function, and the waiting one");
    assert_eq!(store.prune_runs(&h.system(), runs[5].created, 9).await.unwrap(), 2);
    assert_eq!(left().await, [5, 1]);

    let many = (0..1_200).map(|_| h.run(&org, functions[1], RunState::Done));
    let batch = many.fold(Batch::system("test"), |batch, run| batch.insert_run(&run));
    store.commit(batch).await.unwrap();
    assert_eq!(store.prune_runs(&h.system(), runs[0].created, 100).await.unwrap(), 1_100);
}
