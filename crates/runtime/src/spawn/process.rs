//! The handle on a worker's process tree. Dropping the last clone kills it.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use uuid::Uuid;

use super::{Endpoint, SpawnError};

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The worker's main process ended with this status.
    Code(i32),
    /// A signal ended it; 9 after [`Process::kill`].
    Signal(i32),
    /// It went over its memory limit and was ended for that.
    Memory,
    /// Nobody could tell, for instance because the spawn helper died.
    Unknown,
}

/// A worker's process tree, from outside.
#[derive(Debug, Clone)]
pub struct Process(Arc<Guard>);

#[derive(Debug)]
struct Guard(Arc<dyn Control>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// What an implementation of [`super::Spawn`] gives behind a [`Process`].
pub trait Control: Send + Sync + std::fmt::Debug {
    fn id(&self) -> Uuid;
    fn kill(&self);
    fn wait(&self) -> BoxFuture<'_, Exit>;
    fn is_alive(&self) -> bool;
    fn memory_bytes(&self) -> Option<u64>;
    fn add_endpoints(
        &self,
        endpoints: Vec<Endpoint>,
    ) -> BoxFuture<'_, Result<Vec<(Endpoint, OwnedFd)>, SpawnError>>;
}

impl Process {
    #[must_use]
    pub fn new(control: Arc<dyn Control>) -> Self {
        Self(Arc::new(Guard(control)))
    }

    /// The worker's id, as in its spec.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.0.0.id()
    }

    /// SIGKILL to all of it. Returns at once; harmless when it has ended.
    pub fn kill(&self) {
        self.0.0.kill();
    }

    /// Waits until no process of the worker is left. May be called by any number of tasks.
    pub async fn wait(&self) -> Exit {
        self.0.0.wait().await
    }

    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.0.is_alive()
    }

    /// Memory in use by all processes of the worker: the cgroup's count, or the sum of their PSS.
    /// Reads a few files; `None` when it has ended.
    #[must_use]
    pub fn memory_bytes(&self) -> Option<u64> {
        self.0.0.memory_bytes()
    }

    /// Makes more endpoints reachable in a running worker; each comes with its listener.
    /// Those that it already has are skipped.
    pub async fn add_endpoints(
        &self,
        endpoints: Vec<Endpoint>,
    ) -> Result<Vec<(Endpoint, OwnedFd)>, SpawnError> {
        self.0.0.add_endpoints(endpoints).await
    }
}

/// The proportional share of one process from its `smaps_rollup`.
pub(crate) fn pss_bytes(rollup: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(rollup).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}
