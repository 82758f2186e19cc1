//! Sealed items: secret values, and bodies that must be kept but not read.

use dispatch_store::{Batch, CommitError, Keyring, RewrapError, SealedKey, SecretValues};
use zeroize::Zeroizing;

use crate::harness::Harness;

fn values(password: &str) -> SecretValues {
    [("password", password.to_owned()), ("username", "größer\n".to_owned())].into_iter().collect()
}

pub(crate) async fn values_are_read_as_they_were_written(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let (secret, empty) = (h.id(), h.id());
    let batch = Batch::system("test")
        .put_secret_values(org.organization(), secret.into(), 1, &values("hunter2"))
        .put_secret_values(org.organization(), empty.into(), 1, &SecretValues::default());
    store.commit(batch).await.unwrap();
    let read = async |id: uuid::Uuid, version| {
        store.secret_values(&org, id.into(), version).await.unwrap()
    };
    assert_eq!(read(secret, 1).await, Some(values("hunter2")));
    assert_eq!(read(empty, 1).await, Some(SecretValues::default()));
    assert_eq!(read(secret, 2).await, None);
    assert_eq!(read(h.id(), 1).await, None);
}

pub(crate) async fn versions_live_side_by_side(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let secret = h.id();
    for version in 1..=3 {
        let password = format!("password {version}");
        let batch = Batch::system("test").put_secret_values(
            org.organization(),
            secret.into(),
            version,
            &values(&password),
        );
        store.commit(batch).await.unwrap();
    }
    let key = SealedKey { owner: secret, version: 1 };
    store.commit(Batch::system("test").unseal_delete(key)).await.unwrap();
    for (version, expect) in
        [(1, None), (2, Some(values("password 2"))), (3, Some(values("password 3")))]
    {
        assert_eq!(store.secret_values(&org, secret.into(), version).await.unwrap(), expect);
    }
}

pub(crate) async fn a_version_is_sealed_once(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let key = SealedKey { owner: h.id(), version: u64::MAX };
    let seal = |bytes: &[u8]| {
        Batch::system("test").seal(org.organization(), key, Zeroizing::new(bytes.to_vec()))
    };
    store.commit(seal(b"first")).await.unwrap();
    match store.commit(seal(b"second")).await {
        Err(CommitError::AlreadySealed { owner, version }) => {
            assert_eq!((owner, version), (key.owner, key.version));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(**store.sealed(&org, key).await.unwrap().unwrap(), *b"first");
}

pub(crate) async fn sealed_bytes_are_deleted_and_may_be_sealed_again(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let key = SealedKey { owner: h.id(), version: 1 };
    let seal = |batch: Batch, bytes: &[u8]| {
        batch.seal(org.organization(), key, Zeroizing::new(bytes.to_vec()))
    };
    store.commit(seal(Batch::system("test"), b"first")).await.unwrap();
    store.commit(seal(Batch::system("test").unseal_delete(key), b"second")).await.unwrap();
    assert_eq!(**store.sealed(&org, key).await.unwrap().unwrap(), *b"second");
    for _ in 0..2 {
        store.commit(Batch::system("test").unseal_delete(key)).await.unwrap();
        assert!(store.sealed(&org, key).await.unwrap().is_none());
    }
}

pub(crate) async fn sealing_is_part_of_its_batch(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let object = h.created(&org, "hello").await;
    let key = SealedKey { owner: h.id(), version: 1 };
    let kept = SealedKey { owner: h.id(), version: 1 };
    let seal = |batch: Batch, key| batch.seal(org.organization(), key, Zeroizing::new(vec![1]));
    store.commit(seal(Batch::system("test"), kept)).await.unwrap();
    let batch = seal(Batch::system("test").unseal_delete(kept), key);
    store.commit(batch.create(&object, &[], &[])).await.unwrap_err();
    assert!(store.sealed(&org, key).await.unwrap().is_none());
    assert!(store.sealed(&org, kept).await.unwrap().is_some());
}

pub(crate) async fn rewrap_puts_everything_under_the_newest_key(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let keys = h.directory().join("keys");
    let secrets: Vec<_> = (0..250).map(|_| h.id()).collect();
    let put = |batch: Batch, secret: uuid::Uuid| {
        batch.put_secret_values(org.organization(), secret.into(), 1, &values("hunter2"))
    };
    let batch = secrets.iter().fold(Batch::system("test"), |batch, secret| put(batch, *secret));
    store.commit(batch).await.unwrap();

    let newer = Keyring::open(&keys).unwrap().add_key().unwrap();
    assert_eq!(store.rewrap(&h.system(), newer.clone()).await.unwrap(), 250 + 1);
    assert_eq!(store.rewrap(&h.system(), newer).await.unwrap(), 0);
    let later = h.id();
    store.commit(put(Batch::system("test"), later)).await.unwrap();

    std::fs::remove_file(keys.join("kek-1")).unwrap();
    h.restart().await;
    for secret in [secrets[0], secrets[249], later] {
        let read = h.store().secret_values(&org, secret.into(), 1).await.unwrap();
        assert_eq!(read, Some(values("hunter2")));
    }
}

pub(crate) async fn rewrap_refuses_keys_that_leave_out_one_in_use(h: &Harness) {
    let other = Keyring::open(h.directory().join("other")).unwrap().add_key().unwrap();
    let refused = h.store().rewrap(&h.system(), other).await;
    assert!(matches!(refused, Err(RewrapError::KeyLeftOut)), "{refused:?}");
}
