//! A database of every released schema is opened by this version, with everything in it.
//!
//! `schemas/NNNN.sql` is a dump of a small database as the release with that schema wrote it. It is never
//! changed; a new one is made with `a_database_to_dump` and `sqlite3 dispatch.db .dump` before the next schema.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use dispatch_store::{AuditFilter, Batch, RunState, SecretValues};
use rusqlite::Connection;
use uuid::Uuid;

use crate::harness::{Harness, Probe, database, names, open};

const SECRET: Uuid = Uuid::from_u128(0x5ec);
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

fn values() -> SecretValues {
    [("password", "hunter2".to_owned())].into_iter().collect()
}

fn write_key(directory: &Path) {
    let keys = directory.join("keys");
    fs::create_dir(&keys).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(keys.join("kek-1"), KEY).unwrap();
    fs::set_permissions(keys.join("kek-1"), fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_database_of_schema_1_is_opened_with_everything_in_it() {
    check(include_str!("schemas/0001.sql")).await;
}

async fn check(dump: &str) {
    let directory = tempfile::tempdir().unwrap();
    write_key(directory.path());
    Connection::open(database(directory.path())).unwrap().execute_batch(dump).unwrap();

    let (store, system) = open(directory.path()).await;
    let listed = store.list::<Probe>(&*system).await.unwrap();
    assert_eq!(names(&listed), ["hello", "world"]);
    let hello = listed.into_iter().next().unwrap().readable().unwrap();
    assert_eq!((hello.meta.generation, hello.meta.status_revision), (2, 1));
    assert_eq!(hello.meta.tags.get("team").map(String::as_str), Some("a"));
    assert_eq!((hello.spec.wish.as_str(), hello.status.seen), ("größer", 4));
    assert_eq!(names(&store.list_referring::<Probe>(&*system, SECRET).await.unwrap()), ["hello"]);
    let read = store.secret_values(&*system, SECRET.into(), 3).await.unwrap();
    assert_eq!(read, Some(values()));
    let blob = dispatch_store::BlobDigest::of(b"source");
    assert_eq!(store.blob(&blob).await.unwrap(), Some(b"source".to_vec()));
    assert_eq!(store.sweep_blobs(&system).await.unwrap(), 0);
    assert_eq!(store.unfinished_runs(&system).await.unwrap().len(), 1);
    let log = store.audit(&system, &AuditFilter::default()).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].row.source, Some([127, 0, 0, 1].into()));
    let receipt = store.commit(Batch::system("test").update_spec(&hello, &[], &[])).await.unwrap();
    assert_eq!(receipt.seq, 3);
    store.close().await;
}

/// Prints where it has written the database that the dump of the present schema is made from.
#[tokio::test]
#[ignore = "only needed when a schema is released"]
async fn a_database_to_dump() {
    let directory = tempfile::tempdir().unwrap().keep();
    write_key(&directory);
    let h = Harness::sqlite().await;
    let org = h.organization(1);
    let (store, _system) = open(&directory).await;
    let mut hello = h.probe(&org, "hello");
    let mut batch = Batch::new().request(h.audit_row(&org, "create"));
    let blob = batch.put_blob(b"source".to_vec());
    let batch = batch
        .create(&hello, &[SECRET], &[blob])
        .create(&h.probe(&org, "world"), &[], &[])
        .put_secret_values(org.organization(), SECRET.into(), 3, &values())
        .insert_run(&h.run(&org, hello.meta.id.uuid(), RunState::Waiting))
        .insert_run(&h.run(&org, hello.meta.id.uuid(), RunState::Done));
    store.commit(batch).await.unwrap();
    hello.spec.wish = "größer".to_owned();
    hello.status.seen = 4;
    let batch = Batch::system("test").update_spec(&hello, &[SECRET], &[blob]);
    store.commit(batch.update_status(&hello)).await.unwrap();
    store.close().await;
    println!("{}", database(&directory).display());
    h.finish().await;
}
