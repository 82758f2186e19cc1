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
    /// Whether every worker was killed because the pools were closed.
    pub(super) killed: bool,
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
    /// What it reaches.
    pub(super) endpoints: Vec<Endpoint>,
    /// A call has widened what it reaches: it ends after this call, so that no other has the reach.
    pub(super) widened: bool,
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
            widened: false,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::frame::Load;
    use crate::revision::{Program, RevisionSpec};
    use crate::spawn::{HostBase, Limits, NetworkSpec};

    fn revision() -> Arc<Revision> {
        Arc::new(Revision::new(RevisionSpec {
            organization: Uuid::nil(),
            program: Arc::new(Program::new(Vec::new(), HostBase::default())),
            environment: Vec::new(),
            layers: Vec::new(),
            load: Load { handler: String::new(), code: String::new(), dependencies: Vec::new() },
            code_digest: String::new(),
            base_digest: String::new(),
            dependency_digests: Vec::new(),
            bindings: Vec::new(),
            limits: Limits::default(),
            network: NetworkSpec::None,
        }))
    }

    /// Workers of the present revision in these phases, calls that have waited for so many
    /// milliseconds, and calls and starts that take 10 ms and 40 ms.
    fn check(what: &str, phases: &[Phase], waited_ms: &[u64], expect: bool) {
        let now = Instant::now() + Duration::from_secs(1000);
        let current = Some(Current { generation: 2, revision: revision() });
        let mut state = State { current, ..State::default() };
        state.pace.saw_start(Duration::from_millis(40));
        state.pace.saw_call(Duration::from_millis(10));
        // One of an older revision, which never counts.
        state.entries.push(Entry::new(Uuid::from_u128(99), 1, revision()));
        for (number, phase) in (0..).zip(phases) {
            let mut entry = Entry::new(Uuid::from_u128(number), 2, revision());
            entry.phase = *phase;
            state.entries.push(entry);
        }
        let mut callers = Vec::new();
        for waited in waited_ms {
            let (sender, receiver) = oneshot::channel();
            let since = now - Duration::from_millis(*waited);
            state.waiting.push_back(Waiter { sender, bindings: Arc::default(), since });
            callers.push(receiver);
        }
        assert_eq!(state.wants_start(now, &Settings::default()), expect, "{what}");
        drop(callers);
        assert!(!state.wants_start(now, &Settings::default()), "{what}, but all callers are gone");
    }

    #[test]
    fn a_worker_is_started_when_one_is_justified() {
        use Phase::{Busy, Ending, Starting};
        check("nobody waits", &[Busy], &[], false);
        check("nothing is there", &[], &[0], true);
        check("what is there is on its way out", &[Ending], &[0], true);
        check("the first start is joined", &[Starting], &[5000, 0, 0], false);
        check("the queue is shorter than a start", &[Busy], &[0, 0, 0, 0], false);
        check("the queue is longer than a start", &[Busy], &[0, 0, 0, 0, 0], true);
        check("two workers share the queue", &[Busy, Busy], &[0; 8], false);
        check("a call has waited as long as a start takes", &[Busy], &[40], true);
        check("one start at a time", &[Busy, Starting], &[500; 50], false);
        check("four workers are the bound", &[Busy; 4], &[5000; 50], false);
        check("three are not", &[Busy, Busy, Busy, Ending, Ending], &[5000; 50], true);
    }

    #[test]
    fn no_worker_is_started_during_a_delay() {
        let now = Instant::now();
        let current = Some(Current { generation: 1, revision: revision() });
        let mut state = State { current, ..State::default() };
        let (sender, _receiver) = oneshot::channel();
        state.waiting.push_back(Waiter { sender, bindings: Arc::default(), since: now });
        let settings = Settings::default();
        for _ in 0..settings.free_failures {
            assert!(state.wants_start(now, &settings));
            state.health.failed("x".to_owned(), now, &settings);
        }
        assert!(!state.wants_start(now, &settings));
        assert!(state.wants_start(now + settings.first_backoff, &settings));
    }

    #[test]
    fn a_worker_remembers_the_oldest_credentials_it_was_given() {
        let version =
            |binding, version| BindingVersion { binding: Uuid::from_u128(binding), version };
        let mut entry = Entry::new(Uuid::nil(), 1, revision());
        for given in [version(1, 3), version(2, 7), version(1, 2), version(1, 4)] {
            entry.give(&[given]);
        }
        assert_eq!(entry.given, [version(1, 2), version(2, 7)]);
        let older = |binding, before| is_older(&entry.given, Uuid::from_u128(binding), before);
        assert!(older(1, 3) && !older(1, 2) && older(2, 8) && !older(2, 7) && !older(3, 100));
    }
}
