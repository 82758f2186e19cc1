//! Who has credentials in hand: the port between rotation and whatever runs functions (decision 25).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dispatch_engine::{Key, Waker};
use dispatch_model::{Id, service_binding::ServiceBinding};

use crate::workers::Workers;

/// Asked by the bindings' controller.
pub trait Consumers: Send + Sync + std::fmt::Debug {
    /// No process has this version of the binding's credentials, or an earlier one, and none will be given it.
    /// Only true after `retire` has got that far.
    fn is_retired(&self, binding: Id<ServiceBinding>, version: u64) -> bool;

    /// Has every process that was given them end, successors first. Wakes the binding's controller at the end.
    fn retire(&self, binding: Id<ServiceBinding>, version: u64);

    /// The binding does not exist any more.
    fn forget(&self, binding: Id<ServiceBinding>);
}

/// The workers of functions on this machine.
#[derive(Debug)]
pub struct FunctionWorkers {
    workers: Arc<Workers>,
    bindings: Waker,
    progress: Arc<Mutex<BTreeMap<Id<ServiceBinding>, Progress>>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// Everything up to this version is retired.
    done: u64,
    /// A retirement up to this version is under way.
    under_way: u64,
}

impl FunctionWorkers {
    pub fn new(workers: Arc<Workers>, bindings: Waker) -> Self {
        Self { workers, bindings, progress: Arc::default() }
    }
}

type ProgressMap = BTreeMap<Id<ServiceBinding>, Progress>;

fn locked(progress: &Mutex<ProgressMap>) -> MutexGuard<'_, ProgressMap> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Consumers for FunctionWorkers {
    fn is_retired(&self, binding: Id<ServiceBinding>, version: u64) -> bool {
        locked(&self.progress).get(&binding).is_some_and(|progress| progress.done >= version)
    }

    fn retire(&self, binding: Id<ServiceBinding>, version: u64) {
        {
            let mut map = locked(&self.progress);
            let progress = map.entry(binding).or_default();
            if progress.done >= version || progress.under_way >= version {
                return;
            }
            progress.under_way = version;
        }
        let pools = self.workers.pools.clone();
        let under_way = UnderWay {
            progress: Arc::clone(&self.progress),
            bindings: self.bindings.clone(),
            binding,
            version,
        };
        tokio::spawn(async move {
            pools.retire(binding.uuid(), version + 1).await;
            under_way.done();
        });
    }

    fn forget(&self, binding: Id<ServiceBinding>) {
        locked(&self.progress).remove(&binding);
        self.workers.pools.forget_binding(binding.uuid());
    }
}

/// A retirement that has begun. If it ends in a panic, it can be asked for again.
struct UnderWay {
    progress: Arc<Mutex<ProgressMap>>,
    bindings: Waker,
    binding: Id<ServiceBinding>,
    version: u64,
}

impl UnderWay {
    fn done(self) {
        if let Some(progress) = locked(&self.progress).get_mut(&self.binding) {
            progress.done = progress.done.max(self.version);
        }
        self.bindings.wake(Key(self.binding.uuid()));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(progress) = locked(&self.progress).get_mut(&self.binding)
            && progress.done < self.version
            && progress.under_way == self.version
        {
            // The next rescan asks again: at once would be in vain, again and again.
            tracing::error!(binding = %self.binding, "old credentials were not taken from all workers");
            progress.under_way = progress.done;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use dispatch_osb::fake::FakeBroker;
    use dispatch_runtime::spawn::{Spawn, SpawnError, Spawned, WorkerSpec};
    use futures::future::BoxFuture;
    use serde_json::json;

    use super::*;
    use crate::{
        packages::Build,
        testing::{TestPlatform, TestServer, World, until},
    };

    /// Starts no worker while it is broken: whoever asks for one panics.
    #[derive(Debug)]
    struct Breakable {
        inner: Arc<dyn Spawn>,
        broken: AtomicBool,
    }

    impl Spawn for Breakable {
        fn spawn(&self, spec: WorkerSpec) -> BoxFuture<'_, Result<Spawned, SpawnError>> {
            assert!(!self.broken.load(Ordering::SeqCst), "the test asked for it");
            self.inner.spawn(spec)
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_retirement_that_panics_is_asked_for_again_and_the_rotation_completes() {
        let mut world = World::sandboxed(Build::default());
        let inner = world.spawner.take().unwrap();
        let spawner = Arc::new(Breakable { inner, broken: AtomicBool::new(false) });
        world.spawner = Some(Arc::clone(&spawner) as _);
        let server = TestServer::start_in(world).await;
        let platform = TestPlatform { server, broker: FakeBroker::start().await.unwrap() };
        platform.register("fake").await;
        platform.instance("db").await;
        platform.make_image().await;
        let source = "def handle(ctx, payload):\n    return ctx['services']['db']['password']\n";
        let files = [("hello.py", source.to_owned())];
        platform.function("f", &files, json!({"services": ["db"]})).await;
        let before = platform.call("f", json!({})).await["output"].clone();
        assert!(before.is_string(), "a worker has the old credentials");

        spawner.broken.store(true, Ordering::SeqCst);
        platform.post("/v1/servicebinding/db/rotate", &json!({})).await;
        let consumers = || format!("{:?}", platform.running.platform().consumers);
        until(|| consumers().contains("Progress { done: 0, under_way: 0 }"), consumers).await;
        assert_eq!(platform.broker.books().bindings.len(), 2, "the old one is in use");
        spawner.broken.store(false, Ordering::SeqCst);
        // The next rescan.
        platform.world.clock.advance(dispatch_engine::Options::default().rescan);
        let rotated = platform.eventually("/v1/servicebinding/db", |answer| {
            let binding = &answer.body;
            let done = binding["status"] == "READY" && binding["credentialsVersion"] == 2;
            done.then_some(())
        });
        rotated.await;
        assert_ne!(platform.call("f", json!({})).await["output"], before);
        assert_eq!(platform.broker.books().bindings.len(), 1, "the old one was unbound");
        platform.delete("/v1/function/f").await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_a_binding_that_is_gone() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        let rotated = platform.post("/v1/servicebinding/db/rotate?wait=60", &json!({})).await;
        assert_eq!(rotated.body["credentialsVersion"], 2);
        let consumers = || format!("{:?}", platform.running.platform().consumers);
        assert!(consumers().contains("done: 1"), "{}", consumers());
        platform.delete("/v1/serviceinstance/db").await;
        platform.gone("/v1/serviceinstance/db").await;
        let left = || consumers().contains("done: 1");
        until(|| !left(), consumers).await;
        platform.finish().await;
    }
}
