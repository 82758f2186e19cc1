//! A batch is stored whole or not at all, and none harms another (decision 3).

use dispatch_store::{Batch, CommitError, RunState, SealedKey};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::harness::{Harness, Probe};

pub(crate) async fn nothing_of_a_refused_batch_is_stored(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let old = h.created(&org, "old").await;
    let taken = h.probe(&org, "old");
    let new = h.probe(&org, "new");
    let run = h.run(&org, h.id(), RunState::Waiting);
    let key = SealedKey { owner: h.id(), version: 1 };
    let mut batch = Batch::new()
        .request(h.audit_row(&org, "create"))
        .create(&new, &[], &[])
        .update_spec(&old, &[], &[])
        .insert_run(&run)
        .seal(org.organization(), key, Zeroizing::new(vec![1]));
    let blob = batch.put_blob(vec![1, 2, 3]);
    let refused = store.commit(batch.create(&taken, &[], &[])).await;
    assert!(matches!(refused, Err(CommitError::Exists { .. })), "{refused:?}");

    assert!(h.load(&new).await.is_none());
    assert_eq!(h.load(&old).await.unwrap().meta, old.meta);
    assert!(store.run(&org, run.id).await.unwrap().is_none());
    assert!(store.sealed(&org, key).await.unwrap().is_none());
    assert!(store.blob(&blob).await.unwrap().is_none());
    assert!(store.audit(&h.system(), &Default::default()).await.unwrap().is_empty());
}

pub(crate) async fn a_refused_batch_does_not_fail_its_neighbours(h: &Harness) {
    let org = h.organization(1);
    h.created(&org, "taken").await;
    let mut commits = JoinSet::new();
    for n in 0..60 {
        let name = if n % 3 == 0 { "taken".to_owned() } else { format!("n{n}") };
        let object = h.probe(&org, &name);
        // Something is written before the refusal, so that there is something to take back.
        let before = h.probe(&org, &format!("before-{n}"));
        let batch = Batch::system("test").create(&before, &[], &[]).create(&object, &[], &[]);
        let store = h.store();
        commits.spawn(async move { (n, store.commit(batch).await) });
    }
    while let Some(done) = commits.join_next().await {
        let (n, result) = done.unwrap();
        assert_eq!(result.is_err(), n % 3 == 0, "{n}: {result:?}");
    }
    let stored = h.store().list::<Probe>(&org).await.unwrap();
    assert_eq!(stored.len(), 1 + 2 * 40);
}

pub(crate) async fn concurrent_batches_share_a_sync(h: &Harness) {
    let org = h.organization(1);
    let before = h.store().counters();
    let mut commits = JoinSet::new();
    for n in 0..200 {
        let (store, object) = (h.store(), h.probe(&org, &format!("n{n}")));
        commits.spawn(async move {
            store.commit(Batch::system("test").create(&object, &[], &[])).await.unwrap();
        });
    }
    while let Some(done) = commits.join_next().await {
        done.unwrap();
    }
    let after = h.store().counters();
    assert_eq!(after.batches - before.batches, 200);
    assert_eq!(after.failed_batches, before.failed_batches);
    let commits = after.commits - before.commits;
    assert!((1..200).contains(&commits), "{commits} syncs for 200 batches");
}

pub(crate) async fn numbers_grow_by_one_for_each_stored_batch(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let object = h.probe(&org, "hello");
    let create = || Batch::system("test").create(&object, &[], &[]);
    let first = store.commit(create()).await.unwrap().seq;
    store.commit(create()).await.unwrap_err();
    let second = store.commit(Batch::system("test").delete(&object)).await.unwrap().seq;
    assert_eq!(second, first + 1);
    h.restart().await;
    let third = h.store().commit(create()).await.unwrap().seq;
    assert_eq!(third, second + 1);
}

pub(crate) async fn of_concurrent_creates_of_one_name_one_wins(h: &Harness) {
    let org = h.organization(1);
    let mut commits = JoinSet::new();
    for _ in 0..20 {
        let (store, object) = (h.store(), h.probe(&org, "hello"));
        commits.spawn(async move {
            store.commit(Batch::system("test").create(&object, &[], &[])).await.is_ok()
        });
    }
    let won = commits.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

pub(crate) async fn a_batch_has_a_greatest_size(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let of_writes = |count| {
        let key = |n| SealedKey { owner: h.id(), version: n };
        (0..count).fold(Batch::system("test"), |batch, n| batch.unseal_delete(key(n as u64)))
    };
    store.commit(of_writes(Batch::WRITES_MAX)).await.unwrap();
    let refused = store.commit(of_writes(Batch::WRITES_MAX + 1)).await;
    let limit = Batch::WRITES_MAX;
    match refused {
        Err(CommitError::TooLarge { what: "writes", found, limit: l }) => {
            assert_eq!((found, l), (limit + 1, limit));
        }
        other => panic!("{other:?}"),
    }
    let mut run = h.run(&org, h.id(), RunState::Done);
    run.body = "x".repeat(Batch::BYTES_MAX + 1);
    let refused = store.commit(Batch::system("test").insert_run(&run)).await;
    assert!(matches!(refused, Err(CommitError::TooLarge { what: "bytes", .. })), "{refused:?}");
    run.body.truncate(1 << 20);
    store.commit(Batch::system("test").insert_run(&run)).await.unwrap();
}
