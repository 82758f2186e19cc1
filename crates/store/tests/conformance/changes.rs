//! The change feed.

use dispatch_model::Kind;
use dispatch_store::{Batch, What};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::harness::Harness;

pub(crate) async fn every_write_of_an_object_is_told_in_order(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let mut changes = store.watch();
    let (a, b) = (h.probe(&org, "a"), h.probe(&org, "b"));
    let of = |batch| async { store.commit(batch).await.unwrap().seq };
    let first = of(Batch::system("test").create(&a, &[], &[]).create(&b, &[], &[])).await;
    let second = of(Batch::system("test").update_status(&b).update_spec(&a, &[], &[])).await;
    let a_now = h.load(&a).await.unwrap();
    let third = of(Batch::system("test").delete(&a_now)).await;

    let expect = [
        (first, &a, What::Created),
        (first, &b, What::Created),
        (second, &b, What::Status),
        (second, &a, What::Spec),
        (third, &a, What::Deleted),
    ];
    for (seq, object, what) in expect {
        let change = changes.recv().await.unwrap();
        assert_eq!((change.seq, change.what, change.kind), (seq, what, Kind::Function));
        assert_eq!(change.id, object.meta.id.uuid());
        assert_eq!(change.organization, org.organization());
    }
    assert_eq!(changes.try_recv(), Err(TryRecvError::Empty));
}

pub(crate) async fn a_change_is_told_before_commit_returns(h: &Harness) {
    let mut changes = h.store().watch();
    for n in 0..50 {
        let object = h.created(&h.organization(1), &format!("n{n}")).await;
        assert_eq!(changes.try_recv().unwrap().id, object.meta.id.uuid());
        assert!(h.load(&object).await.is_some(), "what was told is there to be read");
    }
}

pub(crate) async fn a_refused_batch_tells_nothing(h: &Harness) {
    let org = h.organization(1);
    let object = h.created(&org, "hello").await;
    let mut changes = h.store().watch();
    let batch = Batch::system("test").create(&h.probe(&org, "new"), &[], &[]);
    h.store().commit(batch.create(&object, &[], &[])).await.unwrap_err();
    assert_eq!(changes.try_recv(), Err(TryRecvError::Empty));
}

pub(crate) async fn a_slow_receiver_is_told_that_it_lagged(h: &Harness) {
    let org = h.organization(1);
    let mut changes = h.store().watch();
    let batch = (0..4_000).fold(Batch::system("test"), |batch, n| {
        batch.create(&h.probe(&org, &format!("n{n}")), &[], &[])
    });
    h.store().commit(batch).await.unwrap();
    assert!(changes.try_recv().is_ok(), "4,000 are not too many");
    let batch = (4_000..8_000).fold(Batch::system("test"), |batch, n| {
        batch.create(&h.probe(&org, &format!("n{n}")), &[], &[])
    });
    h.store().commit(batch).await.unwrap();
    assert!(matches!(changes.try_recv(), Err(TryRecvError::Lagged(_))));
    assert!(changes.try_recv().is_ok(), "and it goes on after that");
}

pub(crate) async fn a_receiver_learns_that_the_store_was_closed(h: &Harness) {
    let store = h.store();
    let mut changes = store.watch();
    h.created(&h.organization(1), "hello").await;
    store.clone().close().await;
    assert!(changes.recv().await.is_ok(), "what was told before is still received");
    assert_eq!(changes.recv().await, Err(RecvError::Closed));
    assert_eq!(store.watch().recv().await, Err(RecvError::Closed));
}
