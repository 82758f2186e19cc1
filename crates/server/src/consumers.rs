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
        let (pools, bindings) = (self.workers.pools.clone(), self.bindings.clone());
        let progress = Arc::clone(&self.progress);
        tokio::spawn(async move {
            pools.retire(binding.uuid(), version + 1).await;
            let mut map = locked(&progress);
            let progress = map.entry(binding).or_default();
            progress.done = progress.done.max(version);
            drop(map);
            bindings.wake(Key(binding.uuid()));
        });
    }
}
