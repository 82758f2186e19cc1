//! The pool of one function: hands out workers, takes them back, changes revisions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::counters::count;
use super::lease::Lease;
use super::state::{Current, Idle, Phase, State, Waiter};
use super::{Call, CallError, Inner};
use crate::logs::FunctionLog;
use crate::revision::{BindingVersion, Revision};
use crate::worker::Worker;

/// A call waits through delays up to this; longer ones are answered at once.
const BEARABLE_DELAY: Duration = Duration::from_secs(1);
/// Bounds of how often a waiting call asks whether another worker is justified by now.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

#[derive(Debug)]
pub(super) struct Pool {
    pub(super) function: Uuid,
    pub(super) log: Arc<FunctionLog>,
    inner: Weak<Inner>,
    state: Mutex<State>,
    /// Told when a worker has ended.
    ended: Notify,
}

/// How a worker comes back.
pub(super) enum Returned {
    Unused,
    Used {
        took: Duration,
    },
    TimedOut {
        took: Duration,
    },
    /// Ended or killed; counts towards the delay of further starts.
    Broken {
        reason: String,
    },
}

/// What a call gets when it asks.
#[expect(clippy::large_enum_variant, reason = "it lives for a moment; a box would cost each call")]
enum Asked {
    Warm(Lease),
    Wait(oneshot::Receiver<Result<Lease, CallError>>),
}

impl Pool {
    pub(super) fn new(function: Uuid, inner: Weak<Inner>) -> Self {
        Self { function, log: Arc::default(), inner, state: Mutex::default(), ended: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` while the pools are being dropped.
    pub(super) fn inner(&self) -> Option<Arc<Inner>> {
        self.inner.upgrade()
    }

    /// A worker for the call, at once or after waiting for one; `cold` is set when it waited.
    pub(super) async fn lease(
        self: &Arc<Self>,
        call: &Call,
        cold: &mut bool,
    ) -> Result<Lease, CallError> {
        let inner = self.inner().ok_or(CallError::NotFound)?;
        let mut receiver = match self.ask(&inner, &call.bindings)? {
            Asked::Warm(lease) => {
                count(&inner.counters.warm_calls);
                return Ok(lease);
            }
            Asked::Wait(receiver) => receiver,
        };
        *cold = true;
        count(&inner.counters.waited_calls);
        let until = Instant::now() + inner.settings.max_wait;
        let mut patience = self.patience();
        loop {
            let wake = until.min(Instant::now() + patience);
            tokio::select! {
                biased;
                lease = &mut receiver => return lease.unwrap_or(Err(CallError::NotFound)),
                () = sleep_until(wake) => {}
            }
            if Instant::now() >= until {
                count(&inner.counters.overloaded);
                return Err(CallError::WaitedTooLong { after: inner.settings.max_wait });
            }
            patience = if self.reconsider(&inner) { self.patience() } else { PATIENCE.1 };
        }
    }

    fn ask(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        bindings: &Arc<[BindingVersion]>,
    ) -> Result<Asked, CallError> {
        let mut state = self.lock();
        if state.current.is_none() {
            return Err(CallError::NotFound);
        }
        // Under the lock, so that a rotation that comes now sees this call on its worker.
        inner.refuse_older(bindings)?;
        if let Some(Idle { worker, .. }) = state.idle.pop() {
            let entry = state.entry(worker.id()).ok_or(CallError::Unstable)?;
            entry.phase = Phase::Busy;
            entry.give(bindings);
            let revision = Arc::clone(&entry.revision);
            return Ok(Asked::Warm(Lease::new(worker, revision, Arc::clone(self))));
        }
        let now = Instant::now();
        let delay = state.health.delay(now);
        if delay > BEARABLE_DELAY && state.serving().0 == 0 {
            let (failures, reason) = (state.health.failures, state.health.reason.clone());
            return Err(CallError::BackingOff { failures, reason, retry_after: delay });
        }
        if state.waiting.len() >= inner.settings.max_waiting {
            state.waiting.retain(|waiter| !waiter.sender.is_closed());
            let waiting = state.waiting.len();
            if waiting >= inner.settings.max_waiting {
                count(&inner.counters.overloaded);
                return Err(CallError::Overloaded { waiting });
            }
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push_back(Waiter { sender, bindings: Arc::clone(bindings), since: now });
        if state.wants_start(now, &inner.settings) {
            self.start_current(inner, &mut state);
        }
        Ok(Asked::Wait(receiver))
    }

    /// Starts another worker if one is justified by now; false if there are as many as may be.
    fn reconsider(self: &Arc<Self>, inner: &Arc<Inner>) -> bool {
        let mut state = self.lock();
        if state.wants_start(Instant::now(), &inner.settings) {
            self.start_current(inner, &mut state);
        }
        state.serving().0 < inner.settings.max_workers
    }

    fn patience(&self) -> Duration {
        let state = self.lock();
        state.pace.start().max(state.health.delay(Instant::now())).clamp(PATIENCE.0, PATIENCE.1)
    }

    pub(super) fn give_back(self: &Arc<Self>, worker: Worker, returned: Returned) {
        let Some(inner) = self.inner() else { return };
        let mut state = self.lock();
        let now = Instant::now();
        let lives = match returned {
            Returned::Unused => true,
            Returned::Used { took } => {
                state.pace.saw_call(took);
                state.health.recovered();
                true
            }
            Returned::TimedOut { took } => {
                count(&inner.counters.timeouts);
                state.pace.saw_call(took);
                false
            }
            Returned::Broken { reason } => {
                count(&inner.counters.crashes);
                state.health.failed(reason, now, &inner.settings);
                false
            }
        };
        let ended = self.place(&inner, &mut state, worker, lives, now);
        if state.wants_start(now, &inner.settings) {
            self.start_current(&inner, &mut state);
        }
        drop(state);
        drop(ended);
    }

    /// Gives a worker to the first waiting call, or lays it aside, or hands it back to be dropped
    /// once the lock is released.
    pub(super) fn place(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        state: &mut State,
        worker: Worker,
        lives: bool,
        now: Instant,
    ) -> Option<Worker> {
        let id = worker.id();
        let present = state.current.as_ref().map(|current| current.generation);
        let Some(entry) = state.entry(id) else { return Some(worker) };
        if entry.widened {
            // At once: not even its exit handlers reach what was given for one call.
            entry.relay = None;
        }
        let stays = lives && !entry.gone && !entry.widened && entry.phase != Phase::Ending;
        if !stays || Some(entry.generation) != present {
            entry.phase = Phase::Ending;
            return Some(worker);
        }
        let revision = Arc::clone(&entry.revision);
        let mut worker = worker;
        while let Some(waiter) = state.next_waiter() {
            let given = Arc::clone(&waiter.bindings);
            let lease = Lease::new(worker, Arc::clone(&revision), Arc::clone(self));
            match waiter.sender.send(Ok(lease)) {
                Ok(()) => {
                    if let Some(entry) = state.entry(id) {
                        entry.phase = Phase::Busy;
                        entry.give(&given);
                    }
                    return None;
                }
                Err(Ok(lease)) => match lease.into_worker() {
                    Some(back) => worker = back,
                    None => return None,
                },
                Err(Err(_)) => return None,
            }
        }
        if let Some(entry) = state.entry(id) {
            entry.phase = Phase::Idle;
        }
        self.lay_aside(inner, state, worker, now);
        None
    }

    pub(super) fn set(self: &Arc<Self>, revision: Arc<Revision>) {
        let Some(inner) = self.inner() else { return };
        let mut state = self.lock();
        if state.current.as_ref().is_some_and(|now| now.revision.id() == revision.id()) {
            return;
        }
        state.generations += 1;
        let generation = state.generations;
        let ended = self.switch(&mut state, generation, revision);
        if state.wants_start(Instant::now(), &inner.settings) {
            self.start_current(&inner, &mut state);
        }
        drop(state);
        drop(ended);
    }

    /// New calls get this revision. The idle workers of older ones are to be dropped.
    pub(super) fn switch(
        &self,
        state: &mut State,
        generation: u64,
        revision: Arc<Revision>,
    ) -> Vec<Worker> {
        state.current = Some(Current { generation, revision });
        state.changed = generation;
        state.health.recovered();
        state.take_idle(|entry, _| entry.generation != generation)
    }

    /// Calls that wait are answered `why`.
    pub(super) fn remove(&self, why: &CallError) {
        let mut state = self.lock();
        state.current = None;
        state.generations += 1;
        state.changed = state.generations;
        let ended = state.take_idle(|_, _| true);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(ended);
        for waiter in waiting {
            let _ = waiter.sender.send(Err(why.clone()));
        }
    }

    /// Called when no process of the worker is left.
    pub(super) fn exited(self: &Arc<Self>, id: Uuid) {
        let inner = self.inner();
        let mut state = self.lock();
        if let Some(entry) = state.entry(id)
            && entry.phase == Phase::Starting
        {
            entry.gone = true;
            return;
        }
        let ended = state.take_idle(|entry, _| entry.id == id);
        let (gone, kept) = std::mem::take(&mut state.entries)
            .into_iter()
            .partition::<Vec<_>, _>(|entry| entry.id == id);
        state.entries = kept;
        if let Some(inner) = &inner
            && state.wants_start(Instant::now(), &inner.settings)
        {
            self.start_current(inner, &mut state);
        }
        let removed = state.current.is_none() && state.entries.is_empty();
        drop(state);
        drop((ended, gone));
        self.ended.notify_waiters();
        if let (Some(inner), true) = (inner, removed) {
            inner.forget(self.function);
        }
    }

    /// A start has come to its end, good or bad.
    pub(super) fn settled(self: &Arc<Self>, id: Uuid) {
        let gone = {
            let mut state = self.lock();
            state.entry(id).is_some_and(|entry| {
                if entry.phase == Phase::Starting {
                    entry.phase = Phase::Ending;
                }
                entry.gone
            })
        };
        if gone {
            self.exited(id);
        }
    }

    /// Waits until no worker of a generation below this one is alive.
    pub(super) async fn drained(&self, generation: u64) {
        self.until(|state| state.entries.iter().all(|entry| entry.generation >= generation)).await;
    }

    /// Waits until `done`; asked again whenever a worker has ended.
    pub(super) async fn until(&self, done: impl Fn(&State) -> bool) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if done(&self.lock()) {
                return;
            }
            ended.await;
        }
    }

    pub(super) fn kill_all(&self) {
        let mut state = self.lock();
        state.killed = true;
        for entry in &state.entries {
            if let Some(process) = &entry.process {
                process.kill();
            }
        }
    }
}
