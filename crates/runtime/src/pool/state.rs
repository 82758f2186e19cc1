//! What a pool knows, behind its one lock. Decides; starts and ends nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::lease::Lease;
use super::pace::{Health, Pace};
use super::{CallError, Settings};
use crate::network::Relay;
use crate::revision::{BindingVersion, Revision};
use crate::spawn::{Confinement, Endpoint, Process};
use crate::worker::Worker;

/// What a worker is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its process starts or loads the function.
    Starting,
    Idle,
    Busy,
    /// It gets no more calls, and ends after the one that it has.
    Ending,
}

/// A worker, as others may see it.
#[derive(Debug, Clone)]
pub struct WorkerInfo {
    pub id: Uuid,
    pub function: Uuid,
    pub revision: Arc<Revision>,
    pub phase: Phase,
    /// Each binding whose credentials it was ever given, and the oldest version of them.
    pub given: Vec<BindingVersion>,
    /// Unknown while it starts.
    pub confinement: Option<Confinement>,
    /// Unknown while it starts.
    pub process: Option<Process>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// `None`: the function was removed.
    pub(super) current: Option<Current>,
    /// Changes under way, which keep the pool on the list even while it has nothing else.
    pub(super) claims: usize,
    /// Counts changes of the revision, so that older workers can be told.
    pub(super) generations: u64,
    /// The generation of the last change that took effect; removal is one.
    pub(super) changed: u64,
    /// The one used last at the end, where it is taken from.
    pub(super) idle: Vec<Idle>,
    /// Every worker whose process may be alive.
    pub(super) entries: Vec<Entry>,
    pub(super) waiting: VecDeque<Waiter>,
    pub(super) health: Health,
    pub(super) pace: Pace,
    pub(super) last_start: Option<Instant>,
    /// Whether the task that ends idle workers runs.
    pub(super) janitor: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) generation: u64,
    pub(super) revision: Arc<Revision>,
}

#[derive(Debug)]
pub(super) struct Idle {
    pub(super) worker: Worker,
    pub(super) since: Instant,
}

pub(super) struct Entry {
    pub(super) id: Uuid,
    pub(super) generation: u64,
    pub(super) revision: Arc<Revision>,
    pub(super) phase: Phase,
    pub(super) given: Vec<BindingVersion>,
    /// Its process ended while it was starting; who starts it still has to learn that.
    pub(super) gone: bool,
    /// Beyond those of its revision.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) confinement: Option<Confinement>,
    pub(super) process: Option<Process>,
    /// Connects its listeners for as long as it lives.
    pub(super) relay: Option<Relay>,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) sender: oneshot::Sender<Result<Lease, CallError>>,
    pub(super) bindings: Arc<[BindingVersion]>,
    pub(super) since: Instant,
}

impl State {
    pub(super) fn entry(&mut self, id: Uuid) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }

    pub(super) fn is_current(&self, generation: u64) -> bool {
        self.current.as_ref().is_some_and(|current| current.generation == generation)
    }

    /// Workers that take calls of the present revision, or soon will; and how many of them start.
    pub(super) fn serving(&self) -> (usize, usize) {
        let mut serving = 0;
        let mut starting = 0;
        for entry in &self.entries {
            if self.is_current(entry.generation) && entry.phase != Phase::Ending {
                serving += 1;
                starting += usize::from(entry.phase == Phase::Starting);
            }
        }
        (serving, starting)
    }

    /// Whether one more worker is justified. All waiting calls join the first start; then another
    /// one comes when the queue would take longer than a start, or has.
    pub(super) fn wants_start(&mut self, now: Instant, settings: &Settings) -> bool {
        self.waiting.retain(|waiter| !waiter.sender.is_closed());
        let Some(oldest) = self.waiting.front().map(|waiter| waiter.since) else { return false };
        let (serving, starting) = self.serving();
        if serving >= settings.max_workers.max(1) || !self.health.delay(now).is_zero() {
            return false;
        }
        if serving == 0 {
            return true;
        }
        if starting > 0 {
            return false;
        }
        let since = self.last_start.map_or(oldest, |last| last.max(oldest));
        now.saturating_duration_since(since) >= self.pace.start()
            || self.pace.queue_is_longer_than_a_start(self.waiting.len(), serving)
    }

    /// The next call that still waits.
    pub(super) fn next_waiter(&mut self) -> Option<Waiter> {
        while let Some(waiter) = self.waiting.pop_front() {
            if !waiter.sender.is_closed() {
                return Some(waiter);
            }
        }
        None
    }

    /// Takes the idle workers that `which` names; they are Ending, and end when they are dropped,
    /// which must happen outside of the lock.
    pub(super) fn take_idle(&mut self, which: impl Fn(&Entry, &Idle) -> bool) -> Vec<Worker> {
        let (mut kept, mut taken) = (Vec::with_capacity(self.idle.len()), Vec::new());
        for idle in std::mem::take(&mut self.idle) {
            let id = idle.worker.id();
            match self.entries.iter_mut().find(|entry| entry.id == id) {
                Some(entry) if which(entry, &idle) => {
                    entry.phase = Phase::Ending;
                    taken.push(idle.worker);
                }
                Some(_) => kept.push(idle),
                None => taken.push(idle.worker),
            }
        }
        self.idle = kept;
        taken
    }
}

impl Entry {
    pub(super) fn new(id: Uuid, generation: u64, revision: Arc<Revision>) -> Self {
        Self {
            id,
            generation,
            revision,
            phase: Phase::Starting,
            given: Vec::new(),
            gone: false,
            endpoints: Vec::new(),
            confinement: None,
            process: None,
            relay: None,
        }
    }

    /// Notes whose credentials the worker gets. Allocates when a binding is new to it.
    pub(super) fn give(&mut self, bindings: &[BindingVersion]) {
        for new in bindings {
            match self.given.iter_mut().find(|given| given.binding == new.binding) {
                Some(given) => given.version = given.version.min(new.version),
                None => self.given.push(*new),
            }
        }
    }
}

/// Whether `given` holds credentials of `binding` that are older than `before`.
pub(super) fn is_older(given: &[BindingVersion], binding: Uuid, before: u64) -> bool {
    given.iter().any(|given| given.binding == binding && given.version < before)
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("generation", &self.generation)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
