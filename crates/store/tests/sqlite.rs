//! The conformance suite on SQLite, and what is true of its files.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use dispatch_store::{
    Batch, Keyring, OpenError, Options, ReadError, RunState, SealedKey, SecretValues, Store,
};
use rusqlite::Connection;
use zeroize::Zeroizing;

use crate::harness::{Harness, Probe, eventually, options};

macro_rules! on_sqlite {
    ($($area:ident: $($case:ident),+;)+) => {$(
        mod $area {
            $(
                #[tokio::test]
                async fn $case() {
                    let harness = crate::harness::Harness::sqlite().await;
                    crate::conformance::$area::$case(&harness).await;
                    harness.finish().await;
                }
            )+
        }
    )+};
}

mod conformance {
    crate::conformance::cases!(on_sqlite);
}

const PLANTED: &str = "correct-horse-battery-staple-7f3a";

fn values() -> SecretValues {
    [("password", PLANTED.to_owned())].into_iter().collect()
}

#[tokio::test]
async fn no_file_holds_a_secret_value_in_the_clear() {
    let h = Harness::sqlite().await;
    let org = h.organization(1);
    let body = Zeroizing::new(format!("{{\"password\":\"{PLANTED}\"}}").into_bytes());
    let key = SealedKey { owner: h.id(), version: 1 };
    let secret = h.id();
    let visible = h.created(&org, "planted-and-visible").await;
    for version in 1..40 {
        let batch = Batch::new().request(h.audit_row(&org, "create")).put_secret_values(
            org.organization(),
            secret.into(),
            version,
            &values(),
        );
        h.store().commit(batch).await.unwrap();
    }
    h.store()
        .commit(Batch::system("test").seal(org.organization(), key, body).delete(&visible))
        .await
        .unwrap();
    let check = || {
        let found = |text: &str| files(h.directory()).filter(|(_, b)| holds(b, text)).count();
        assert_eq!(found(PLANTED), 0);
        assert!(found("planted-and-visible") > 0, "what is not secret is found by the same search");
    };
    check();
    assert!(files(h.directory()).any(|(name, _)| name.ends_with("-wal")), "the log was searched");
    h.restart().await;
    check();
    h.finish().await;
}

fn files(directory: &Path) -> impl Iterator<Item = (String, Vec<u8>)> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    files
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    let h = Harness::sqlite().await;
    h.created(&h.organization(1), "hello").await;
    let mut names = Vec::new();
    for entry in fs::read_dir(h.directory()).unwrap().map(|entry| entry.unwrap()) {
        let mode = entry.metadata().unwrap().mode();
        assert_eq!(mode & 0o077, 0, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["dispatch.db", "dispatch.db-shm", "dispatch.db-wal", "keys"]);
    h.finish().await;
}

#[tokio::test]
async fn close_leaves_one_file() {
    let h = Harness::sqlite().await;
    h.created(&h.organization(1), "hello").await;
    h.store().close().await;
    let names: Vec<_> = files(h.directory()).map(|(name, _)| name).collect();
    assert_eq!(names, ["dispatch.db"]);
}

#[tokio::test]
async fn data_without_its_key_is_refused_and_gets_no_new_one() {
    let h = Harness::sqlite().await;
    h.store().close().await;
    let keys = h.directory().join("keys");
    fs::rename(keys.join("kek-1"), keys.join("saved")).unwrap();
    match Store::open(options(h.directory())).await {
        Err(error @ OpenError::KeyMissing { kek: 1, .. }) => {
            let text = error.to_string();
            assert!(text.contains("kek-1") && text.contains("restore that file"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!keys.join("kek-1").exists());
    fs::rename(keys.join("saved"), keys.join("kek-1")).unwrap();
    h.restart().await;
    h.finish().await;
}

#[tokio::test]
async fn data_with_the_key_of_other_data_is_refused() {
    let h = Harness::sqlite().await;
    h.store().close().await;
    let keyring = Keyring::open(h.directory().join("other")).unwrap().add_key().unwrap();
    match Store::open(Options::new(h.database(), keyring)).await {
        Err(error @ OpenError::KeyMismatch { kek: 1, .. }) => {
            let text = error.to_string();
            assert!(
                text.contains("other/kek-1") && text.contains("belongs to other data"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_older_key_that_is_still_needed_is_missed() {
    let h = Harness::sqlite().await;
    let org = h.organization(1);
    let secret = h.id();
    let put =
        |batch: Batch| batch.put_secret_values(org.organization(), secret.into(), 1, &values());
    h.store().commit(put(Batch::system("test"))).await.unwrap();
    let keys = h.directory().join("keys");
    let newer = Keyring::open(&keys).unwrap().add_key().unwrap();
    h.store().rewrap(&h.system(), newer).await.unwrap();
    h.store().close().await;
    // As if one item had been left under the older key.
    let db = Connection::open(h.database()).unwrap();
    db.execute("UPDATE sealed SET kek = 1 WHERE owner = ?1", (secret.as_bytes(),)).unwrap();
    fs::remove_file(keys.join("kek-1")).unwrap();
    match Store::open(options(h.directory())).await {
        Err(OpenError::KeyMissing { kek: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sealed_row_that_was_moved_is_not_decrypted() {
    let h = Harness::sqlite().await;
    let (ours, theirs) = (h.organization(1), h.organization(2));
    let secret = h.id();
    let put = Batch::system("test");
    let put = put.put_secret_values(theirs.organization(), secret.into(), 1, &values());
    h.store().commit(put).await.unwrap();
    let db = Connection::open(h.database()).unwrap();
    let our_id = ours.organization().uuid();
    db.execute("UPDATE sealed SET organization = ?1 WHERE version = 1", (our_id.as_bytes(),))
        .unwrap();
    let refused = h.store().secret_values(&ours, secret.into(), 1).await;
    assert!(matches!(refused, Err(ReadError::Unsealable { .. })), "{refused:?}");
    h.finish().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let h = Harness::sqlite().await;
    h.store().close().await;
    let db = Connection::open(h.database()).unwrap();
    db.execute("INSERT INTO schema_migration VALUES (4711, x'00')", ()).unwrap();
    match Store::open(options(h.directory())).await {
        Err(error @ OpenError::NewerSchema { found: 4711, known: 2, .. }) => {
            assert!(error.to_string().contains("newer version of dispatch"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = options(directory.path()).path;
    let check = async || {
        let before = fs::read(&path).unwrap();
        let refused = Store::open(options(directory.path())).await;
        assert!(matches!(refused, Err(OpenError::Foreign { .. })), "{refused:?}");
        assert_eq!(fs::read(&path).unwrap(), before);
        fs::remove_file(&path).unwrap();
    };
    fs::write(&path, "This is a letter to my aunt. ".repeat(500)).unwrap();
    check().await;
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    check().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_made_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let keyring = Keyring::open(directory.path().join("keys")).unwrap();
    let path = directory.path().join("no/such/directory.db");
    match Store::open(Options::new(&path, keyring)).await {
        Err(error @ OpenError::Unavailable { .. }) => {
            assert!(error.to_string().contains("no/such/directory.db"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reads_go_on_while_the_writer_is_held_up() {
    let h = Harness::sqlite().await;
    let org = h.organization(1);
    let before = h.created(&org, "before").await;
    let lock = Connection::open(h.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (store, object) = (h.store(), h.probe(&org, "after"));
    let batch = Batch::system("test").create(&object, &[], &[]);
    let commit = tokio::spawn(async move { store.commit(batch).await });
    h.store().record_run(h.run(&org, h.id(), RunState::Done));
    for _ in 0..20 {
        assert_eq!(h.store().list::<Probe>(&org).await.unwrap().len(), 1);
        assert!(h.load(&before).await.is_some());
    }
    assert!(!commit.is_finished());
    lock.execute_batch("ROLLBACK").unwrap();
    commit.await.unwrap().unwrap();
    assert!(h.load(&object).await.is_some());
    eventually(|| async {
        let recorded = h.store().counters().recorded_runs;
        if recorded == 1 { Ok(()) } else { Err(format!("{recorded} recorded")) }
    })
    .await;
    h.finish().await;
}

#[tokio::test]
async fn a_row_that_no_version_writes_is_an_error_that_names_its_place() {
    let h = Harness::sqlite().await;
    let org = h.organization(1);
    h.created(&org, "hello").await;
    let db = Connection::open(h.database()).unwrap();
    db.execute("UPDATE object SET name = '../etc'", ()).unwrap();
    match h.store().list::<Probe>(&org).await {
        Err(error @ ReadError::Damaged { .. }) => {
            assert!(error.to_string().contains("name in table object"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    h.finish().await;
}
