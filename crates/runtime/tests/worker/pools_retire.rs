//! Rotation: no worker keeps credentials that are about to be withdrawn, and no call fails for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dispatch_runtime::pool::{Call, CallError, Settings};
use dispatch_runtime::revision::BindingVersion;
use dispatch_runtime::spawn::{DirectSpawner, Spawn, SpawnError, Spawned, WorkerSpec};
use futures::future::BoxFuture;
use uuid::Uuid;

use super::pools_change::{number_of, settings, version};
use super::support::{FUNCTION, Stage, call, text, until};

const BINDING: Uuid = Uuid::from_u128(77);

fn carrying(version: u64) -> Call {
    Call { bindings: Arc::new([BindingVersion { binding: BINDING, version }]), ..call("{}") }
}

#[tokio::test]
async fn retiring_ends_every_worker_that_was_given_old_credentials_and_no_other() {
    let mut stage = Stage::with(settings(), &version(0));
    let other = Uuid::from_u128(8);
    let revision = stage.revision(&version(9));
    stage.pools.set(other, revision);
    let untouched = text(stage.pools.call(other, &call("{}")).await);
    let before = text(stage.pools.call(FUNCTION, &carrying(1)).await);
    stage.pools.retire(BINDING, 2).await;
    let old = stage.pools.workers_with(|worker| {
        worker.given.iter().any(|given| given.binding == BINDING && given.version < 2)
    });
    assert!(old.is_empty(), "{old:?}");
    let refused = stage.pools.call(FUNCTION, &carrying(1)).await;
    let superseded =
        matches!(refused, Err(CallError::Superseded { binding }) if binding == BINDING);
    assert!(superseded, "{refused:?}");
    let answer = stage.pools.call(FUNCTION, &carrying(2)).await.unwrap();
    assert!(!answer.cold, "its successor was started first");
    assert_ne!(answer.result.unwrap(), before);
    assert_eq!(text(stage.pools.call(other, &call("{}")).await), untouched);
    stage.pools.retire(BINDING, 2).await;
    stage.pools.forget_binding(BINDING);
    text(stage.pools.call(FUNCTION, &carrying(1)).await);
    stage.finish().await;
}

#[tokio::test]
async fn retiring_waits_for_running_calls_and_sends_waiting_ones_back() {
    let stage = Stage::with(
        Settings { max_workers: 1, ..settings() },
        "import os, time\n\
         def handle(ctx, payload):\n\
         \x20   while payload and not os.path.exists(payload): time.sleep(0.005)\n\
         \x20   return os.getpid()\n",
    );
    let before = stage.text("null").await;
    let dir = tempfile::tempdir().unwrap();
    let gate = dir.path().join("open");
    let payload = serde_json::to_vec(&gate).unwrap().into();
    let long = Call { payload, ..carrying(1) };
    let running = stage.pools.call(FUNCTION, &long);
    let waiting = async {
        stage.until_busy(1).await;
        stage.pools.call(FUNCTION, &carrying(1)).await
    };
    let retire = async {
        until(|| if stage.pools.counts().waiting == 1 { Ok(()) } else { Err(()) }).await;
        tokio::time::timeout(Duration::from_secs(100), stage.pools.retire(BINDING, 2)).await
    };
    let others = async {
        stage.until_alive(2).await;
        let call = Call { payload: "null".into(), ..carrying(2) };
        assert_ne!(text(stage.pools.call(FUNCTION, &call).await), before, "a fresh worker");
        assert_eq!(stage.alive(), 2, "the old one is at its call");
        std::fs::write(&gate, "").unwrap();
    };
    let (finished, refused, retired, ()) = tokio::join!(running, waiting, retire, others);
    assert_eq!(text(finished), before);
    assert!(matches!(refused, Err(CallError::Superseded { .. })), "{refused:?}");
    retired.unwrap();
    assert_eq!(stage.alive(), 1);
    stage.finish().await;
}

/// Starts no worker while it is broken: whoever asks for one panics.
#[derive(Debug, Default)]
struct Breakable {
    broken: AtomicBool,
}

impl Spawn for Breakable {
    fn spawn(&self, spec: WorkerSpec) -> BoxFuture<'_, Result<Spawned, SpawnError>> {
        assert!(!self.broken.load(Ordering::SeqCst), "the test asked for it");
        DirectSpawner.spawn(spec)
    }
}

#[tokio::test]
async fn a_retirement_that_panics_does_not_count_as_done_and_can_be_repeated() {
    let spawner = Arc::new(Breakable::default());
    let mut stage = Stage::on(Arc::<Breakable>::clone(&spawner), settings());
    let revision = stage.revision(&version(1));
    stage.pools.set(FUNCTION, revision);
    text(stage.pools.call(FUNCTION, &carrying(1)).await);
    let old = || {
        stage.pools.workers_with(|worker| {
            worker.given.iter().any(|given| given.binding == BINDING && given.version < 2)
        })
    };
    spawner.broken.store(true, Ordering::SeqCst);
    let pools = stage.pools.clone();
    let retired = tokio::spawn(async move { pools.retire(BINDING, 2).await }).await;
    assert!(retired.is_err_and(|error| error.is_panic()), "it was told to be done");
    assert_eq!(old().len(), 1);

    stage.until_alive(1).await;
    spawner.broken.store(false, Ordering::SeqCst);
    tokio::time::timeout(Duration::from_secs(100), stage.pools.retire(BINDING, 2)).await.unwrap();
    assert!(old().is_empty(), "{:?}", old());
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retiring_under_load_fails_no_call_and_leaves_no_old_credentials_in_use() {
    // The function keeps the first credentials that it sees, as real code keeps its connection.
    let stage = Stage::with(
        settings(),
        "kept = None\n\
         def handle(ctx, payload):\n\
         \x20   global kept\n\
         \x20   kept = kept or payload\n\
         \x20   return [kept]\n",
    );
    let current = Arc::new(AtomicU64::new(1));
    let withdrawn = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..5)
        .map(|_| {
            let (pools, current) = (stage.pools.clone(), Arc::clone(&current));
            let (withdrawn, stop) = (Arc::clone(&withdrawn), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let version = current.load(Ordering::SeqCst);
                    let old = withdrawn.load(Ordering::SeqCst);
                    let payload = version.to_string().into();
                    let call = Call { payload, ..carrying(version) };
                    match pools.call(FUNCTION, &call).await {
                        Err(CallError::Superseded { .. }) => {}
                        answer => {
                            let used = number_of(&text(answer).replace(']', ","));
                            assert!(used > old, "used {used} after {old} was withdrawn");
                        }
                    }
                }
            })
        })
        .collect();
    for next in 2..=4 {
        current.store(next, Ordering::SeqCst);
        stage.pools.retire(BINDING, next).await;
        withdrawn.store(next - 1, Ordering::SeqCst);
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    stage.finish().await;
}
