//! Blobs and who holds them.

use dispatch_store::{Batch, BlobDigest, CommitError};

use crate::harness::Harness;

pub(crate) async fn a_blob_is_stored_once_and_read_by_its_digest(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let bytes = vec![7; 3 << 20];
    for name in ["a", "b"] {
        let mut batch = Batch::system("test");
        let digest = batch.put_blob(bytes.clone());
        assert_eq!(digest, BlobDigest::of(&bytes));
        let object = h.probe(&org, name);
        store.commit(batch.create(&object, &[], &[digest, digest])).await.unwrap();
    }
    assert_eq!(store.blob(&BlobDigest::of(&bytes)).await.unwrap(), Some(bytes));
    assert_eq!(store.blob(&BlobDigest::of(b"other")).await.unwrap(), None);
}

pub(crate) async fn a_blob_that_is_not_stored_cannot_be_held(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let digest = BlobDigest::of(b"nowhere");
    let old = h.created(&org, "old").await;
    for batch in [
        Batch::system("test").create(&h.probe(&org, "new"), &[], &[digest]),
        Batch::system("test").update_spec(&old, &[], &[digest]),
    ] {
        let refused = store.commit(batch).await;
        assert!(
            matches!(refused, Err(CommitError::BlobMissing { digest: d }) if d == digest),
            "{refused:?}"
        );
    }
    assert_eq!(h.load(&old).await.unwrap().meta.generation, 1);
}

pub(crate) async fn only_what_nobody_holds_is_swept(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let mut batch = Batch::system("test");
    let held = batch.put_blob(b"held".to_vec());
    let replaced = batch.put_blob(b"replaced".to_vec());
    let loose: Vec<_> = (0..100_u8).map(|n| batch.put_blob(vec![n, n])).collect();
    let (a, b) = (h.probe(&org, "a"), h.probe(&org, "b"));
    let batch = batch.create(&a, &[], &[held]).create(&b, &[], &[held, replaced]);
    store.commit(batch).await.unwrap();

    assert_eq!(store.sweep_blobs(&h.system()).await.unwrap(), loose.len() as u64);
    assert!(store.blob(&loose[99]).await.unwrap().is_none());
    assert_eq!(store.sweep_blobs(&h.system()).await.unwrap(), 0);

    store.commit(Batch::system("test").update_spec(&b, &[], &[held])).await.unwrap();
    assert_eq!(store.sweep_blobs(&h.system()).await.unwrap(), 1, "the replaced one");
    assert!(store.blob(&replaced).await.unwrap().is_none());
    store.commit(Batch::system("test").delete(&a)).await.unwrap();
    assert_eq!(store.sweep_blobs(&h.system()).await.unwrap(), 0, "b still holds it");
    let b = h.load(&b).await.unwrap();
    store.commit(Batch::system("test").delete(&b)).await.unwrap();
    assert_eq!(store.sweep_blobs(&h.system()).await.unwrap(), 1);
    assert!(store.blob(&held).await.unwrap().is_none());
}

pub(crate) async fn a_status_holds_blobs_of_its_own(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let mut batch = Batch::system("test");
    let (of_spec, first) = (batch.put_blob(b"spec".to_vec()), batch.put_blob(b"first".to_vec()));
    let object = h.probe(&org, "a");
    let batch = batch.create(&object, &[], &[of_spec]).update_status_holding(&object, &[first]);
    store.commit(batch).await.unwrap();
    assert_eq!(store.sweep_blobs(&h.system()).await.unwrap(), 0);

    // Neither hand lets go of what the other holds.
    let object = h.load(&object).await.unwrap();
    store.commit(Batch::system("test").update_spec(&object, &[], &[of_spec])).await.unwrap();
    let object = h.load(&object).await.unwrap();
    store.commit(Batch::system("test").update_status(&object)).await.unwrap();
    assert_eq!(store.sweep_blobs(&h.system()).await.unwrap(), 0);

    let object = h.load(&object).await.unwrap();
    let missing = BlobDigest::of(b"nowhere");
    let refused = Batch::system("test").update_status_holding(&object, &[missing]);
    let refused = store.commit(refused).await;
    assert!(matches!(refused, Err(CommitError::BlobMissing { .. })), "{refused:?}");
    let mut batch = Batch::system("test");
    let second = batch.put_blob(b"second".to_vec());
    store.commit(batch.update_status_holding(&object, &[second])).await.unwrap();
    assert_eq!(store.sweep_blobs(&h.system()).await.unwrap(), 1, "the first");
    assert!(store.blob(&first).await.unwrap().is_none());
    assert!(store.blob(&second).await.unwrap().is_some());

    let stale = Batch::system("test").update_status_holding(&object, &[]);
    let stale = store.commit(stale).await;
    assert!(matches!(stale, Err(CommitError::Stale { .. })), "{stale:?}");
    let object = h.load(&object).await.unwrap();
    store.commit(Batch::system("test").delete(&object)).await.unwrap();
    assert_eq!(store.sweep_blobs(&h.system()).await.unwrap(), 2);
}
