//! Which worker gets which call: one pool per function, all of them behind one handle.
//!
//! A warm call takes a worker off the pool's list, writes and reads its frames in the caller's own
//! task and puts the worker back. Nothing here knows a store or HTTP: the server says which
//! revision a function has, and gives each call its context.

mod counters;
mod error;
mod function;
mod idle;
mod inspect;
mod lease;
mod pace;
mod reach;
mod retire;
mod start;
mod state;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::frame::Failure;
use crate::logs::{LogLine, Logs};
use crate::network::{Dial, RelayLimits};
use crate::revision::{BindingVersion, Revision, RevisionId};
use crate::spawn::{Endpoint, Spawn};
use crate::worker::{Ambient, CallInput};
use function::Pool;

pub use counters::Counts;
pub use error::{CallError, ReplaceError};
pub use state::{Phase, WorkerInfo};

use counters::Counters;

/// The bounds of all pools.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Workers of one function that take calls. Those of older revisions, on their way out, come
    /// on top.
    pub max_workers: usize,
    /// Calls of one function that wait for a worker; the next one is refused.
    pub max_waiting: usize,
    /// The longest that a call waits for a worker.
    pub max_wait: Duration,
    /// How long a worker without calls is kept.
    pub keep_alive: Duration,
    /// From the start of a process to its function being loaded.
    pub start_timeout: Duration,
    /// Between asking a worker to end and SIGKILL.
    pub grace: Duration,
    /// Interpreters that start at one time, over all functions (decision 45: cores − 1).
    pub parallel_starts: usize,
    /// Failed starts and crashes in a row, without a call that succeeds, before starts are delayed.
    pub free_failures: u32,
    /// The first delay; each further failure doubles it.
    pub first_backoff: Duration,
    pub max_backoff: Duration,
    /// Of each worker's connections to its services.
    pub relay: RelayLimits,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            max_workers: 4,
            max_waiting: 100,
            max_wait: Duration::from_secs(60),
            keep_alive: Duration::from_secs(300),
            start_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(2),
            parallel_starts: cores.saturating_sub(1).max(1),
            free_failures: 3,
            first_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(30),
            relay: RelayLimits::default(),
        }
    }
}

/// One call of a function. Cloning copies no payload.
#[derive(Clone)]
pub struct Call {
    /// The run's id.
    pub id: Uuid,
    /// How long the function may take, once it has a worker.
    pub timeout: Duration,
    /// A JSON object: what the function reads as its context, credentials included.
    pub context: Bytes,
    /// One JSON value, already checked to be one; or nothing.
    pub payload: Bytes,
    /// Whose credentials the context carries, in which version.
    pub bindings: Arc<[BindingVersion]>,
    /// What the function must be able to reach for this call. If it is more than its revision says,
    /// the call's worker ends after it, so that no other call has the reach.
    pub endpoints: Arc<[Endpoint]>,
}

impl fmt::Debug for Call {
    /// Without what it carries: credentials and people's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("id", &self.id)
            .field("timeout", &self.timeout)
            .field("context_bytes", &self.context.len())
            .field("payload_bytes", &self.payload.len())
            .field("bindings", &self.bindings)
            .finish_non_exhaustive()
    }
}

/// Asked when a call has a worker, before the function sees anything of it, and again with each other worker: false
/// takes the call back.
pub type Begin<'a> = dyn Fn() -> BoxFuture<'a, bool> + Send + Sync + 'a;

/// What became of a call that reached its function.
#[derive(Debug)]
pub struct Answer {
    /// The JSON text that the function returned, or how it failed.
    pub result: Result<Bytes, Failure>,
    pub logs: Logs,
    /// Its worker was killed because the pools were closed.
    pub cut_off: bool,
    /// The revision that executed it.
    pub revision: RevisionId,
    /// Whether the call waited for a worker to start.
    pub cold: bool,
    /// From the first byte sent to the last one read.
    pub duration: Duration,
}

/// All pools. Clones are handles to the same ones; dropping the last ends all workers.
#[derive(Debug, Clone)]
pub struct Pools {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    spawner: Arc<dyn Spawn>,
    dial: Option<Arc<dyn Dial>>,
    ambient: Ambient,
    settings: Settings,
    runtime: Handle,
    starts: Arc<Semaphore>,
    counters: Counters,
    functions: RwLock<HashMap<Uuid, Arc<Pool>>>,
    /// Of each binding that was rotated: older versions are refused.
    oldest: RwLock<HashMap<Uuid, u64>>,
}

impl Pools {
    /// Must be called inside a tokio runtime, which then runs the pools' tasks. `dial` connects the
    /// endpoints of workers; without it they reach nothing.
    #[must_use]
    pub fn new(
        spawner: Arc<dyn Spawn>,
        dial: Option<Arc<dyn Dial>>,
        ambient: Ambient,
        settings: Settings,
    ) -> Self {
        let inner = Inner {
            spawner,
            dial,
            ambient,
            runtime: Handle::current(),
            starts: Arc::new(Semaphore::new(settings.parallel_starts.max(1))),
            settings,
            counters: Counters::default(),
            functions: RwLock::default(),
            oldest: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Calls a function and waits for its end. Dropping the future leaves the call to go on and
    /// the worker to its pool.
    pub async fn call(&self, function: Uuid, call: &Call) -> Result<Answer, CallError> {
        self.call_when(function, call, None).await
    }

    /// Like [`Pools::call`], if `begin` says so once there is a worker.
    pub async fn call_when(
        &self,
        function: Uuid,
        call: &Call,
        begin: Option<&Begin<'_>>,
    ) -> Result<Answer, CallError> {
        let pool = self.inner.pool(function).ok_or(CallError::NotFound)?;
        let mut cold = false;
        for _ in 0..=self.inner.settings.max_workers {
            let lease = pool.lease(call, &mut cold).await?;
            if let Some(begin) = begin
                && !begin().await
            {
                return Err(CallError::TakenBack);
            }
            if let Some(answer) = lease.call(call, cold).await? {
                return Ok(answer);
            }
        }
        Err(CallError::Unstable)
    }

    /// New calls go to this revision from now on. Workers of older ones finish their calls and end.
    /// Calls that wait are served by the new one. The same revision again changes nothing.
    pub fn set(&self, function: Uuid, revision: Arc<Revision>) {
        self.claim(function).pool.set(revision);
    }

    /// Like [`Pools::set`], once a worker of the revision has started and loaded the function: the
    /// proof that it can be called. The worker is kept, so the first call is warm.
    ///
    /// If it cannot be started, everything stays as it was. Dropping the future changes nothing.
    pub async fn deploy(
        &self,
        function: Uuid,
        revision: Arc<Revision>,
    ) -> Result<(), ReplaceError> {
        let claim = self.claim(function);
        claim.pool.change(revision, true).await.map(drop)
    }

    /// Like [`Pools::set`], but a function with workers gets as many of the new revision first, so that
    /// no call waits for a start. Workers of older revisions finish their calls after this returns.
    ///
    /// If the new revision cannot be started, the old one stays. Dropping the future changes nothing.
    pub async fn switch(
        &self,
        function: Uuid,
        revision: Arc<Revision>,
    ) -> Result<(), ReplaceError> {
        let claim = self.claim(function);
        claim.pool.change(revision, false).await.map(drop)
    }

    /// Like [`Pools::switch`]; returns when every worker of older revisions has ended.
    ///
    /// If the new revision cannot be started, the old one stays. Dropping the future changes nothing.
    pub async fn replace(
        &self,
        function: Uuid,
        revision: Arc<Revision>,
    ) -> Result<(), ReplaceError> {
        let claim = self.claim(function);
        let generation = claim.pool.change(revision, false).await?;
        claim.pool.drained(generation).await;
        Ok(())
    }

    fn claim(&self, function: Uuid) -> Claim<'_> {
        let mut functions = self.inner.functions.write().unwrap_or_else(PoisonError::into_inner);
        let pool = functions
            .entry(function)
            .or_insert_with(|| Arc::new(Pool::new(function, Arc::downgrade(&self.inner))));
        pool.lock().claims += 1;
        Claim { inner: &self.inner, pool: Arc::clone(pool) }
    }

    /// Calls that wait are answered [`CallError::NotFound`], as are new ones; running ones finish.
    pub fn remove(&self, function: Uuid) {
        if let Some(pool) = self.inner.pool(function) {
            pool.remove(&CallError::NotFound);
            self.inner.forget(function);
        }
    }

    /// The revision that new calls get.
    #[must_use]
    pub fn current(&self, function: Uuid) -> Option<Arc<Revision>> {
        self.inner.pool(function)?.current()
    }

    /// Every revision that new calls get or a living worker has.
    #[must_use]
    pub fn revisions(&self) -> Vec<Arc<Revision>> {
        self.inner.all().iter().flat_map(|pool| pool.revisions()).collect()
    }

    /// What a function's workers printed outside of calls, oldest first, and how many lines are
    /// gone. It starts anew when all workers of a removed function have ended.
    #[must_use]
    pub fn function_log(&self, function: Uuid) -> (Vec<LogLine>, u64) {
        self.inner.pool(function).map(|pool| pool.log.lines()).unwrap_or_default()
    }

    /// The living workers that `wanted` likes, those included that are starting or ending.
    pub fn workers_with(&self, wanted: impl Fn(&WorkerInfo) -> bool) -> Vec<WorkerInfo> {
        let mut found: Vec<WorkerInfo> =
            self.inner.all().iter().flat_map(|pool| pool.workers()).collect();
        found.retain(wanted);
        found
    }

    /// Figures since the start, and of this moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let waiting = self.inner.all().iter().map(|pool| pool.waiting()).sum();
        self.inner.counters.read(waiting)
    }

    /// Removes every function, gives running calls `patience` to finish, then kills what is left.
    /// Returns when no worker is alive.
    pub async fn close(&self, patience: Duration) {
        let pools = self.inner.all();
        for pool in &pools {
            pool.remove(&CallError::Closed);
        }
        let drained = futures::future::join_all(pools.iter().map(|pool| pool.drained(u64::MAX)));
        if tokio::time::timeout(patience, drained).await.is_err() {
            for pool in &pools {
                pool.kill_all();
                pool.drained(u64::MAX).await;
            }
        }
    }
}

/// A pool that stays on the list while it is being changed.
struct Claim<'a> {
    inner: &'a Inner,
    pool: Arc<Pool>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.pool.lock().claims -= 1;
        self.inner.forget(self.pool.function);
    }
}

impl Inner {
    fn pool(&self, function: Uuid) -> Option<Arc<Pool>> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        functions.get(&function).cloned()
    }

    fn all(&self) -> Vec<Arc<Pool>> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        functions.values().cloned().collect()
    }

    /// Takes a removed function's pool off the list once nothing of it is left.
    fn forget(&self, function: Uuid) {
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        if functions.get(&function).is_some_and(|pool| pool.is_gone()) {
            functions.remove(&function);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_payload_nor_context() {
        let secret = Bytes::from_static(b"hunter2");
        let (context, payload) = (secret.clone(), secret);
        let (bindings, endpoints) = (Arc::default(), Arc::default());
        let timeout = Duration::from_secs(1);
        let input = CallInput {
            run: Uuid::nil(),
            timeout,
            context: context.clone(),
            payload: payload.clone(),
        };
        let call = Call { id: Uuid::nil(), timeout, context, payload, bindings, endpoints };
        for text in [format!("{call:?}"), format!("{input:?}")] {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
