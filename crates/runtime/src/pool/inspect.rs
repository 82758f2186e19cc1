//! What others may see of a pool.

use std::sync::Arc;

use super::function::Pool;
use super::state::WorkerInfo;
use crate::revision::Revision;

impl Pool {
    /// Whether nothing is lost when it is taken off the list.
    pub(super) fn is_gone(&self) -> bool {
        let state = self.lock();
        state.current.is_none() && state.entries.is_empty() && state.claims == 0
    }

    pub(super) fn current(&self) -> Option<Arc<Revision>> {
        self.lock().current.as_ref().map(|current| Arc::clone(&current.revision))
    }

    pub(super) fn revisions(&self) -> Vec<Arc<Revision>> {
        let state = self.lock();
        let current = state.current.iter().map(|current| &current.revision);
        current.chain(state.entries.iter().map(|entry| &entry.revision)).cloned().collect()
    }

    pub(super) fn waiting(&self) -> u64 {
        let state = self.lock();
        state.waiting.iter().filter(|waiter| !waiter.sender.is_closed()).count() as u64
    }

    pub(super) fn workers(&self) -> Vec<WorkerInfo> {
        let state = self.lock();
        let info = state.entries.iter().map(|entry| WorkerInfo {
            id: entry.id,
            function: self.function,
            revision: Arc::clone(&entry.revision),
            phase: entry.phase,
            given: entry.given.clone(),
            confinement: entry.confinement.clone(),
            process: entry.process.clone(),
        });
        info.collect()
    }
}
