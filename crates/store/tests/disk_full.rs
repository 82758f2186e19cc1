//! A full disk (decision 42), on a real file system of 16 MiB: writes are refused and say why, reads go
//! on, and writes work again when there is space, without a restart.

use std::{fs, io::Write, path::Path, process::Command};

use dispatch_model::Object;
use dispatch_store::{Batch, CommitError, OrgScope, RunRecord, RunState, SealedKey, Store};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::harness::{Harness, Probe, database, eventually, options};

const DIRECTORY: &str = "DISPATCH_STORE_FULL_DIRECTORY";
const RESERVE: &str = "DISPATCH_STORE_FULL_RESERVE";

/// As it is set by default: with some space left, only what deletes is still written.
#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    let directory = tempfile::tempdir().unwrap();
    on_a_small_disk(options(directory.path()).reserve_bytes);
}

/// Without a reserve, the disk is filled to its last block.
#[test]
fn a_disk_without_a_single_free_block_refuses_writes_until_there_is_space() {
    on_a_small_disk(0);
}

fn on_a_small_disk(reserve_bytes: u64) {
    let root = rustix::process::geteuid().is_root();
    let mut namespace = vec!["--mount", "--propagation", "private"];
    if !root {
        namespace.extend(["--user", "--map-root-user"]);
    }
    let directory = tempfile::tempdir().unwrap();
    let mount = r#"mount -t tmpfs -o size=16m,mode=0700 tmpfs "$1""#;
    let run = |script: &str| {
        Command::new("unshare")
            .args(&namespace)
            .args(["sh", "-c", script, "sh"])
            .arg(directory.path())
            .arg(std::env::current_exe().unwrap())
            .env(DIRECTORY, directory.path())
            .env(RESERVE, reserve_bytes.to_string())
            .output()
    };
    match run(mount) {
        Ok(tried) if tried.status.success() => {}
        tried => {
            return dispatch_testkit::skip(&format!("no tmpfs in a mount namespace: {tried:?}"));
        }
    }
    let script = format!(r#"{mount} && exec "$2" --exact disk_full::child --nocapture"#);
    let done = run(&script).unwrap();
    let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
}

/// Not a test by itself: it runs on the small file system that the one above has made.
#[tokio::test]
async fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let ballast = directory.join("ballast");
    fs::write(&ballast, vec![1; 8 << 20]).unwrap();
    let h = Harness::sqlite().await;
    let org = h.organization(1);
    let mut options = options(directory);
    options.reserve_bytes = std::env::var(RESERVE).unwrap().parse().unwrap();
    let (store, system) = Store::open(options.clone()).await.unwrap();
    let first = h.probe(&org, "first");
    let key = SealedKey { owner: h.id(), version: 1 };
    let batch = Batch::system("test").create(&first, &[], &[]);
    let batch = batch.seal(org.organization(), key, Zeroizing::new(b"hunter2".to_vec()));
    store.commit(batch).await.unwrap();

    big_ones_fail_alone(&h, &store, &org).await;
    let stored = fill(&h, &store, &org).await;
    let reserve = options.reserve_bytes > 0;
    if reserve {
        // Somebody else takes what was left.
        let mut other = fs::File::create(directory.join("other")).unwrap();
        while other.write_all(&[1; 4096]).is_ok() {}
    }

    let mut changed = first.clone();
    changed.spec.wish = "x".repeat(200_000);
    let mut run = h.run(&org, h.id(), RunState::Waiting);
    run.body = "x".repeat(200_000);
    let other = SealedKey { owner: h.id(), version: 1 };
    every_write_says_what_is_full(&store, &org, directory, (&changed, &run, other)).await;

    // Reads go on, and show nothing of what was refused.
    for _ in 0..3 {
        let listed = store.list::<Probe>(&org).await.unwrap();
        assert_eq!(listed.len(), stored);
        assert_eq!(store.sealed(&org, key).await.unwrap().unwrap().as_slice(), b"hunter2");
        assert!(store.sealed(&org, other).await.unwrap().is_none());
    }
    if reserve {
        // What deletes is still done.
        store.commit(Batch::system("test").unseal_delete(key)).await.unwrap();
    }
    // The record of a blocking run waits for better times.
    run.id = h.id();
    store.record_run(run.clone());
    eventually(|| async {
        let postponed = store.counters().postponed_runs;
        if postponed > 0 { Ok(()) } else { Err("nobody tried to store the run".to_owned()) }
    })
    .await;

    fs::remove_file(&ballast).unwrap();
    store.commit(Batch::system("test").update_spec(&changed, &[], &[])).await.unwrap();
    eventually(|| async {
        match store.run(&system, run.id).await.unwrap() {
            Some(_) => Ok(()),
            None => Err(format!("the recorded run is not stored: {:?}", store.counters())),
        }
    })
    .await;
    assert_eq!(store.counters().dropped_runs, 0);
    store.close().await;
    let (store, _system) = Store::open(options).await.unwrap();
    assert_eq!(store.list::<Probe>(&org).await.unwrap().len(), stored);
    store.close().await;
    h.finish().await;
}

async fn every_write_says_what_is_full(
    store: &Store,
    org: &OrgScope,
    directory: &Path,
    (changed, run, key): (&Object<Probe>, &RunRecord, SealedKey),
) {
    let bytes = Zeroizing::new(vec![1; 200_000]);
    let mut blob = Batch::system("test");
    blob.put_blob(vec![9; 200_000]);
    for batch in [
        Batch::system("test").update_spec(changed, &[], &[]),
        Batch::system("test").insert_run(run),
        Batch::system("test").seal(org.organization(), key, bytes),
        blob,
    ] {
        assert_full(store.commit(batch).await, directory);
    }
}

/// A batch that does not fit, committed together with small ones that do, fails alone.
async fn big_ones_fail_alone(h: &Harness, store: &Store, org: &OrgScope) {
    let mut commits = JoinSet::new();
    for n in 0..20 {
        let object = h.probe(org, &format!("small-{n}"));
        let mut batch = Batch::system("test").create(&object, &[], &[]);
        let big = n == 10;
        if big {
            batch.put_blob(vec![7; 12 << 20]);
        }
        let store = store.clone();
        commits.spawn(async move { (big, store.commit(batch).await) });
    }
    while let Some(done) = commits.join_next().await {
        let (big, result) = done.unwrap();
        match result {
            Ok(_) => assert!(!big),
            Err(CommitError::DiskFull { .. }) => assert!(big, "a small one failed"),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Commits until even small writes are refused. Returns how many objects there are.
async fn fill(h: &Harness, store: &Store, org: &OrgScope) -> usize {
    let mut names = 0;
    for size in [500_000, 50_000, 3_000, 10, 10, 10] {
        loop {
            names += 1;
            let mut object = h.probe(org, &format!("n{names}"));
            object.spec.wish = "x".repeat(size);
            match store.commit(Batch::system("test").create(&object, &[], &[])).await {
                Ok(_) => {}
                Err(error) => {
                    assert!(matches!(error, CommitError::DiskFull { .. }), "{error:?}");
                    break;
                }
            }
        }
    }
    store.list::<Probe>(org).await.unwrap().len()
}

fn assert_full(result: Result<dispatch_store::Receipt, CommitError>, directory: &Path) {
    match result {
        Err(error @ CommitError::DiskFull { .. }) => {
            let text = error.to_string();
            let path = database(directory);
            assert!(text.contains(path.to_str().unwrap()) && text.contains("no space"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}
