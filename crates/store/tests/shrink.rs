//! The database file gets shorter when what it held is gone.

use std::fs;

use dispatch_store::Batch;
use rusqlite::Connection;

use crate::harness::Harness;

/// So many bytes are stored and given up; the file's length before, and after it was asked to shrink.
async fn given_up(h: &Harness, name: &str, bytes: usize) -> (u64, u64, u64) {
    let length = async || {
        h.restart().await; // copies the log into the file
        fs::metadata(h.database()).unwrap().len()
    };
    let kept = h.created(&h.organization(1), &format!("{name}-kept")).await;
    let one = bytes / 16;
    for number in 0..16 {
        let mut batch = Batch::system("test");
        batch.put_blob(vec![number; one]);
        h.store().commit(batch).await.unwrap();
    }
    // What was stored last lies at the end, and has to be moved.
    let last = h.created(&h.organization(1), &format!("{name}-last")).await;
    assert_eq!(h.store().sweep_blobs(&h.system()).await.unwrap(), 16);
    let before = length().await;
    let pages = h.store().shrink(&h.system()).await.unwrap();
    assert_eq!(h.store().shrink(&h.system()).await.unwrap(), 0, "it has ended");
    let after = length().await;
    for object in [kept, last] {
        assert_eq!(h.load(&object).await.unwrap().spec, object.spec);
    }
    let database = Connection::open(h.database()).unwrap();
    let checked = database.query_row("PRAGMA integrity_check", (), |row| row.get(0));
    assert_eq!(checked, Ok("ok".to_owned()));
    (pages, before, after)
}

#[tokio::test]
async fn what_is_given_up_is_given_back_but_for_a_few_pages() {
    const MIB: u64 = 1 << 20;
    let h = Harness::sqlite().await;
    let (pages, before, after) = given_up(&h, "much", 24 << 20).await;
    assert!(before > 24 * MIB && (4 * MIB..6 * MIB).contains(&after), "{before} {after}");
    // Besides those that are given back, some that say where pages are.
    assert!((pages * 4_096).abs_diff(before - after) < MIB / 4, "{pages} {before} {after}");
    let (pages, before, after) = given_up(&h, "little", 3 << 20).await;
    assert_eq!((pages, before), (0, after), "what is left free is soon used again");
    h.finish().await;
}

#[tokio::test]
async fn a_file_that_was_made_before_goes_on_as_it_is() {
    let h = Harness::sqlite().await;
    h.store().close().await;
    let database = Connection::open(h.database()).unwrap();
    let old = "PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM";
    database.execute_batch(old).unwrap();
    let mode = database.query_row("PRAGMA auto_vacuum", (), |row| row.get(0));
    assert_eq!(mode, Ok(0));
    drop(database);
    h.restart().await;
    let (pages, before, after) = given_up(&h, "much", 24 << 20).await;
    assert_eq!((pages, before), (0, after));
    h.finish().await;
}
