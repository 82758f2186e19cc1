//! Changing a function while it is called: deploy, replace, removal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dispatch_runtime::pool::{CallError, Pools, ReplaceError, Settings};

use super::support::{FUNCTION, Stage, call, text, until};

pub(super) fn settings() -> Settings {
    Settings { start_timeout: Duration::from_secs(120), ..Settings::default() }
}

pub(super) fn version(number: u64) -> String {
    format!("import os\ndef handle(ctx, payload): return [{number}, os.getpid()]\n")
}

pub(super) fn number_of(answer: &str) -> u64 {
    answer.trim_start_matches('[').split(',').next().unwrap().parse().unwrap()
}

/// Clients that call without a pause until they are stopped; every answer must be right, and
/// never of an older version than was current before the call began.
struct Load {
    stop: Arc<AtomicBool>,
    least: Arc<AtomicU64>,
    clients: Vec<tokio::task::JoinHandle<u64>>,
}

impl Load {
    fn start(pools: &Pools, clients: usize) -> Self {
        let (stop, least) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let clients = (0..clients).map(|_| {
            let (pools, stop, least) = (pools.clone(), Arc::clone(&stop), Arc::clone(&least));
            tokio::spawn(async move {
                let mut answered = 0;
                while !stop.load(Ordering::SeqCst) {
                    let expect = least.load(Ordering::SeqCst);
                    let answer = text(pools.call(FUNCTION, &call("{}")).await);
                    assert!(number_of(&answer) >= expect, "{answer} after {expect} was set");
                    answered += 1;
                }
                answered
            })
        });
        let clients = clients.collect();
        Self { stop, least, clients }
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        let mut answered = 0;
        for client in self.clients {
            answered += client.await.unwrap();
        }
        answered
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_under_load_fails_no_call() {
    let mut stage = Stage::with(settings(), &version(0));
    stage.text("{}").await;
    let load = Load::start(&stage.pools, 6);
    for number in 1..=5 {
        let revision = stage.revision(&version(number));
        stage.pools.set(FUNCTION, revision);
        load.least.store(number, Ordering::SeqCst);
        let answer = stage.text("{}").await;
        assert_eq!(number_of(&answer), number);
    }
    assert!(load.stop().await > 5);
    let current = stage.pools.current(FUNCTION).unwrap().id();
    until(|| {
        let older = stage.pools.workers_with(|worker| worker.revision.id() != current).len();
        if older == 0 { Ok(()) } else { Err(older) }
    })
    .await;
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replace_under_load_fails_no_call_and_ends_with_no_older_worker() {
    let mut stage = Stage::with(settings(), &version(0));
    stage.text("{}").await;
    let load = Load::start(&stage.pools, 6);
    for number in 1..=3 {
        let revision = stage.revision(&version(number));
        stage.pools.replace(FUNCTION, Arc::clone(&revision)).await.unwrap();
        load.least.store(number, Ordering::SeqCst);
        let older = stage.pools.workers_with(|worker| worker.revision.id() != revision.id());
        assert!(older.is_empty(), "{older:?}");
    }
    assert!(load.stop().await > 3);
    stage.finish().await;
}

#[tokio::test]
async fn a_single_client_notices_no_replace() {
    let mut stage = Stage::with(settings(), &version(0));
    stage.text("{}").await;
    let revision = stage.revision(&version(1));
    let replaced = AtomicBool::new(false);
    let client = async {
        let mut calls = 0;
        while !replaced.load(Ordering::SeqCst) || calls < 10 {
            let answer = stage.call("{}").await.unwrap();
            assert!(!answer.cold, "call {calls} waited for a start");
            calls += 1;
            tokio::task::yield_now().await;
        }
    };
    let replace = async {
        stage.pools.replace(FUNCTION, revision).await.unwrap();
        replaced.store(true, Ordering::SeqCst);
    };
    tokio::join!(client, replace);
    assert_eq!(number_of(&stage.text("{}").await), 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_replacement_that_cannot_be_started_leaves_the_old_one() {
    let mut stage = Stage::with(settings(), &version(0));
    let before = stage.text("{}").await;
    let broken = stage.revision("import nowhere\n");
    let refused = stage.pools.replace(FUNCTION, broken).await;
    let Err(ReplaceError::StartFailed { error }) = refused else { panic!("{refused:?}") };
    assert!(error.reason().contains("nowhere"), "{}", error.reason());
    assert_eq!(stage.text("{}").await, before, "the same worker answers");
    stage.until_alive(1).await;
    stage.finish().await;
}

#[tokio::test]
async fn a_replace_waits_for_the_calls_of_older_workers() {
    let mut stage = Stage::with(
        settings(),
        "import os, time\n\
         def handle(ctx, payload):\n\
         \x20   while payload and not os.path.exists(payload): time.sleep(0.005)\n\
         \x20   return [0]\n",
    );
    stage.text("null").await;
    let dir = tempfile::tempdir().unwrap();
    let gate = dir.path().join("open");
    let payload = serde_json::to_string(&gate).unwrap();
    let revision = stage.revision(&version(1));
    let long = stage.text(&payload);
    let replace = stage.pools.replace(FUNCTION, Arc::clone(&revision));
    let others = async {
        until(|| {
            let current = stage.pools.current(FUNCTION).unwrap().id();
            if current == revision.id() { Ok(()) } else { Err(current) }
        })
        .await;
        assert_eq!(number_of(&stage.text("null").await), 1, "new calls get the new revision");
        assert_eq!(stage.alive(), 2, "the old worker is at its call");
        std::fs::write(&gate, "").unwrap();
    };
    let (long, replaced, ()) = tokio::join!(long, replace, others);
    assert_eq!(long, "[0]");
    replaced.unwrap();
    assert_eq!(stage.alive(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_deployed_function_is_proven_and_its_first_call_is_warm() {
    let mut stage = Stage::new(settings());
    let broken = stage.revision("def handle(ctx): pass\n");
    let refused = stage.pools.deploy(FUNCTION, broken).await;
    let Err(ReplaceError::StartFailed { error }) = refused else { panic!("{refused:?}") };
    assert!(error.reason().contains("does not take exactly 2 arguments"), "{}", error.reason());
    assert!(matches!(stage.call("{}").await, Err(CallError::NotFound)));
    let good = stage.revision(&version(1));
    stage.pools.deploy(FUNCTION, good).await.unwrap();
    let answer = stage.call("{}").await.unwrap();
    assert!(!answer.cold);
    let broken = stage.revision("import nowhere\n");
    assert!(stage.pools.deploy(FUNCTION, broken).await.is_err());
    assert_eq!(number_of(&stage.text("{}").await), 1, "the old one stays");
    let better = stage.revision(&version(2));
    stage.pools.deploy(FUNCTION, better).await.unwrap();
    let answer = stage.call("{}").await.unwrap();
    assert!(!answer.cold);
    assert_eq!(number_of(&text(Ok(answer))), 2);
    stage.until_alive(1).await;
    stage.finish().await;
}

#[tokio::test]
async fn a_removal_overtakes_a_deploy_and_a_removed_function_can_be_set_again() {
    let mut stage = Stage::with(settings(), &version(0));
    stage.text("{}").await;
    let slow = stage.revision(&format!("import time\ntime.sleep(0.5)\n{}", version(1)));
    let deploy = stage.pools.deploy(FUNCTION, slow);
    let remove = async {
        stage.until_alive(2).await;
        stage.pools.remove(FUNCTION);
    };
    let (deployed, ()) = tokio::join!(deploy, remove);
    assert!(matches!(deployed, Err(ReplaceError::Overtaken)), "{deployed:?}");
    assert!(matches!(stage.call("{}").await, Err(CallError::NotFound)));
    stage.until_alive(0).await;
    let again = stage.revision(&version(2));
    stage.pools.set(FUNCTION, again);
    assert_eq!(number_of(&stage.text("{}").await), 2);
    stage.finish().await;
}

#[tokio::test]
async fn a_later_set_overtakes_a_replace() {
    let mut stage = Stage::with(settings(), &version(0));
    stage.text("{}").await;
    let slow = stage.revision(&format!("import time\ntime.sleep(0.5)\n{}", version(1)));
    let newest = stage.revision(&version(2));
    let replace = stage.pools.replace(FUNCTION, slow);
    let set = async {
        stage.until_alive(2).await;
        stage.pools.set(FUNCTION, newest);
    };
    let (replaced, ()) = tokio::join!(replace, set);
    assert!(matches!(replaced, Err(ReplaceError::Overtaken)), "{replaced:?}");
    assert_eq!(number_of(&stage.text("{}").await), 2);
    stage.until_alive(1).await;
    stage.finish().await;
}

#[tokio::test]
async fn the_same_revision_again_changes_nothing() {
    let mut stage = Stage::new(settings());
    let revision = stage.revision(&version(0));
    stage.pools.set(FUNCTION, Arc::clone(&revision));
    let before = stage.text("{}").await;
    stage.pools.set(FUNCTION, Arc::clone(&revision));
    stage.pools.replace(FUNCTION, revision).await.unwrap();
    assert_eq!(stage.text("{}").await, before);
    stage.finish().await;
}

#[tokio::test]
async fn a_removed_function_finishes_its_calls_and_answers_no_new_ones() {
    let stage = Stage::with(
        Settings { max_workers: 1, ..settings() },
        "import os, time\n\
         def handle(ctx, payload):\n\
         \x20   while payload and not os.path.exists(payload): time.sleep(0.005)\n",
    );
    stage.text("null").await;
    let dir = tempfile::tempdir().unwrap();
    let gate = dir.path().join("open");
    let payload = serde_json::to_string(&gate).unwrap();
    let running = stage.text(&payload);
    let waiting = async {
        stage.until_busy(1).await;
        stage.call("null").await
    };
    let remove = async {
        until(|| {
            let waiting = stage.pools.counts().waiting;
            if waiting == 1 { Ok(()) } else { Err(waiting) }
        })
        .await;
        stage.pools.remove(FUNCTION);
        let refused = stage.call("null").await;
        assert!(matches!(refused, Err(CallError::NotFound)), "{refused:?}");
        std::fs::write(&gate, "").unwrap();
    };
    let (finished, refused, ()) = tokio::join!(running, waiting, remove);
    assert_eq!(finished, "null");
    assert!(matches!(refused, Err(CallError::NotFound)), "{refused:?}");
    stage.until_alive(0).await;
    stage.finish().await;
}
