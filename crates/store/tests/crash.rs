//! `kill -9` at any moment: what was acknowledged is there, nothing is torn, and the next start just works.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use dispatch_model::{Name, Object};
use dispatch_store::{Batch, SealedKey, Store};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::harness::{Harness, Probe, ProbeSpec, open};

const DIRECTORY: &str = "DISPATCH_STORE_CRASH_DIRECTORY";
const ROUND: &str = "DISPATCH_STORE_CRASH_ROUND";
const STREAMS: u64 = 8;

#[tokio::test]
async fn a_kill_in_a_stream_of_commits_loses_nothing_and_tears_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(u64, u64)> = Vec::new();
    for (round, kill_after) in [1, 40, 7, 150, 400].into_iter().enumerate() {
        let round = round as u64;
        let mut child = start(directory.path(), round);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stored = 0;
        for line in lines {
            // After the kill, what was already in the pipe was acknowledged as well.
            let line = line.unwrap();
            let Some(n) = line.strip_prefix("stored ") else { continue };
            acknowledged.push((round, n.parse().unwrap()));
            stored += 1;
            if stored == kill_after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(stored >= kill_after, "round {round}: the child ended by itself after {stored}");
        verify(directory.path(), &acknowledged).await;
    }
}

#[tokio::test]
async fn a_kill_during_the_first_start_is_harmless() {
    for round in 0..12 {
        let directory = tempfile::tempdir().unwrap();
        let mut child = start(directory.path(), round);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "opening"));
        for _ in 0..round * 100_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let (store, system) = open(directory.path()).await;
        store.list::<Probe>(&*system).await.unwrap();
        store.commit(Batch::system("test")).await.unwrap();
        store.close().await;
    }
}

/// Everything of a batch is there, or nothing; and everything, if it was acknowledged.
async fn verify(directory: &Path, acknowledged: &[(u64, u64)]) {
    let (store, system) = open(directory).await;
    let listed = store.list::<Probe>(&*system).await.unwrap();
    let runs = store.unfinished_runs(&system).await.unwrap();
    let mut complete = 0;
    for first in listed.iter().filter(|stored| stored.meta().name.as_str().starts_with("a-")) {
        let name = first.meta().name.as_str();
        let second: Name = name.replacen('a', "b", 1).parse().unwrap();
        let twin = store.get::<Probe>(&*system, &second).await.unwrap();
        assert!(twin.is_some(), "{name} without its second object");
        let key = SealedKey { owner: first.meta().id.uuid(), version: 1 };
        let sealed = store.sealed(&*system, key).await.unwrap();
        assert_eq!(sealed.unwrap().as_slice(), name.as_bytes(), "the sealed item of {name}");
        assert!(runs.iter().any(|run| run.function == key.owner), "{name} without its run");
        complete += 1;
    }
    assert_eq!(listed.len(), 2 * complete, "a second object without its first");
    assert_eq!(runs.len(), complete, "a run without its objects");
    for (round, n) in acknowledged {
        let name: Name = format!("a-{round}-{n}").parse().unwrap();
        let found = store.get::<Probe>(&*system, &name).await.unwrap();
        assert!(found.is_some(), "{name} was acknowledged and is lost");
    }
    store.close().await;
}

fn start(directory: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        // What the child cannot remove, because it is killed, goes with the directory.
        .env("TMPDIR", directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test: what `start` starts. It commits until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    say("opening");
    let (store, _system) = open(directory.as_ref()).await;
    let harness = Arc::new(Harness::sqlite().await);
    let streams: Vec<_> = (0..STREAMS)
        .map(|stream| tokio::spawn(commit_for_ever(store.clone(), harness.clone(), round, stream)))
        .collect();
    for stream in streams {
        stream.await.unwrap();
    }
}

async fn commit_for_ever(store: Store, harness: Arc<Harness>, round: u64, stream: u64) {
    let org = harness.organization(1);
    for n in (stream..).step_by(STREAMS as usize) {
        let object = |letter: char| -> Object<Probe> {
            let name = format!("{letter}-{round}-{n}");
            let mut object = harness.object(&org, &name, ProbeSpec { wish: "x".repeat(2_000) });
            let id = (u128::from(letter) << 100) | (u128::from(round) << 64) | u128::from(n);
            object.meta.id = Uuid::from_u128(id).into();
            object
        };
        let (a, b) = (object('a'), object('b'));
        let key = SealedKey { owner: a.meta.id.uuid(), version: 1 };
        let plain = Zeroizing::new(a.meta.name.as_str().as_bytes().to_vec());
        let mut run = harness.run(&org, key.owner, dispatch_store::RunState::Waiting);
        run.id = key.owner;
        let batch = Batch::new()
            .request(harness.audit_row(&org, "create"))
            .create(&a, &[], &[])
            .seal(org.organization(), key, plain)
            .create(&b, &[key.owner], &[])
            .insert_run(&run);
        store.commit(batch).await.unwrap();
        say(&format!("stored {n}"));
    }
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}
