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
    use std::panic::AssertUnwindSafe;

    use uuid::Uuid;

    use super::*;
    use crate::testing::TestPlatform;

    #[tokio::test]
    async fn a_retirement_that_panics_can_be_asked_for_again() {
        let progress = Arc::new(Mutex::new(ProgressMap::new()));
        let binding = Id::from_uuid(Uuid::from_u128(1));
        locked(&progress).insert(binding, Progress { done: 1, under_way: 2 });
        let platform = TestPlatform::start().await;
        let bindings = platform.running.platform().wakers.all();
        let (_, waker) = bindings.into_iter().next().unwrap();
        let under_way = || UnderWay {
            progress: Arc::clone(&progress),
            bindings: waker.clone(),
            binding,
            version: 2,
        };
        let panicking = under_way();
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let _it = panicking;
            std::panic::resume_unwind(Box::new("the test asked for it"));
        }));
        assert!(panicked.is_err());
        let now = *locked(&progress).get(&binding).unwrap();
        assert_eq!((now.done, now.under_way), (1, 1));

        locked(&progress).insert(binding, Progress { done: 1, under_way: 2 });
        under_way().done();
        let now = *locked(&progress).get(&binding).unwrap();
        assert_eq!((now.done, now.under_way), (2, 2));
        platform.finish().await;
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_a_binding_that_is_gone() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        let rotated =
            platform.post("/v1/servicebinding/db/rotate?wait=60", &serde_json::json!({})).await;
        assert_eq!(rotated.body["credentialsVersion"], 2);
        let consumers = || format!("{:?}", platform.running.platform().consumers);
        assert!(consumers().contains("done: 1"), "{}", consumers());
        platform.delete("/v1/serviceinstance/db").await;
        platform.gone("/v1/serviceinstance/db").await;
        let left = || consumers().contains("done: 1");
        crate::testing::until(|| !left(), consumers).await;
        platform.finish().await;
    }
}
