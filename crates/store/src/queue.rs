//! What waits for the thread that writes: batches, each with somebody who waits for it, and run records, with nobody.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use uuid::Uuid;

use crate::{Batch, CommitError, RunRecord, run_buffer::RunBuffer};

/// What the writer can be asked for.
#[derive(Debug)]
pub(crate) enum Work {
    Batch(Batch),
    RecordRuns(Vec<RunRecord>),
    SweepBlobs { limit: usize },
    Reseal { limit: usize },
    DeleteRuns(Vec<Uuid>),
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// For batches.
    pub(crate) seq: u64,
    /// For the others: how many rows.
    pub(crate) rows: usize,
}

pub(crate) type Answer = Result<Outcome, CommitError>;

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) answer: oneshot::Sender<Answer>,
    _place: OwnedSemaphorePermit,
}

/// What is committed together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) jobs: Vec<Job>,
    pub(crate) runs: Vec<RunRecord>,
}

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    runs: RunBuffer,
    /// When the waiting runs have to be written.
    runs_due: Option<Instant>,
    /// The last attempt to write them failed: wait until they are due.
    runs_failed: bool,
    runs_dropped: u64,
    closed: bool,
}

const GROUP_JOBS_MAX: usize = 128;
const GROUP_BYTES_MAX: usize = 16 << 20;
const GROUP_RUNS_MAX: usize = 1_000;
/// Half of the 50 ms of decision 4; the rest is for the write itself.
const RUNS_WAIT: Duration = Duration::from_millis(25);
const RUNS_WAIT_AFTER_FAILURE: Duration = Duration::from_secs(1);

impl Queue {
    pub(crate) fn new(places: usize) -> Self {
        let places = Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)));
        Self { state: Mutex::default(), changed: Condvar::new(), places }
    }

    /// Waits for a place, then for the answer. What has got a place is done even if nobody waits any more.
    pub(crate) async fn submit(&self, work: Work) -> Answer {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| CommitError::Closed)?;
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.state();
            if state.closed {
                return Err(CommitError::Closed);
            }
            state.jobs.push_back(Job { work, answer, _place: place });
        }
        self.changed.notify_one();
        answered.await.unwrap_or(Err(CommitError::Closed))
    }

    /// Never waits.
    pub(crate) fn record(&self, run: RunRecord) {
        let mut state = self.state();
        if state.closed {
            state.runs_dropped += 1;
            return;
        }
        state.runs_dropped += state.runs.push(run);
        if state.runs_due.is_none() {
            state.runs_due = Some(Instant::now() + RUNS_WAIT);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Gives back runs that could not be written. They are tried again after a while; never, once it is closed.
    pub(crate) fn give_back(&self, runs: Vec<RunRecord>) {
        let mut state = self.state();
        if state.closed {
            state.runs_dropped += runs.len() as u64;
            return;
        }
        state.runs_dropped += state.runs.give_back(runs);
        state.runs_due = Some(Instant::now() + RUNS_WAIT_AFTER_FAILURE);
        state.runs_failed = true;
    }

    pub(crate) fn runs_dropped(&self) -> u64 {
        self.state().runs_dropped
    }

    /// Blocks until there is something to write; `None` once it is closed and empty.
    pub(crate) fn next(&self) -> Option<Group> {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let due_in = state.runs_due.map(|due| due.saturating_duration_since(now));
            if !state.jobs.is_empty() || state.closed || due_in == Some(Duration::ZERO) {
                let group = state.take_group(now);
                if !group.jobs.is_empty() || !group.runs.is_empty() {
                    return Some(group);
                }
                if state.closed {
                    return None;
                }
                // What was due has been dropped meanwhile.
                continue;
            }
            state = match due_in {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(due_in) => {
                    let woken = self.changed.wait_timeout(state, due_in);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Takes nothing new. What is waiting is still handed out.
    pub(crate) fn close(&self) {
        self.places.close();
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_group(&mut self, now: Instant) -> Group {
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while let Some(job) = self.jobs.front() {
            bytes += job.work.bytes();
            if !jobs.is_empty() && (bytes > GROUP_BYTES_MAX || jobs.len() == GROUP_JOBS_MAX) {
                break;
            }
            jobs.extend(self.jobs.pop_front());
        }
        let due = self.runs_due.is_some_and(|due| due <= now);
        let mut runs = Vec::new();
        if due || self.closed || !self.runs_failed {
            runs = self.runs.take(GROUP_RUNS_MAX);
            self.runs_failed = false;
            self.runs_due = (!self.runs.is_empty()).then_some(now);
        }
        Group { jobs, runs }
    }
}

impl Work {
    /// How much it adds, roughly; 0 for what deletes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.bytes(),
            Self::RecordRuns(runs) => runs.iter().map(RunRecord::bytes).sum(),
            Self::SweepBlobs { .. } | Self::Reseal { .. } | Self::DeleteRuns(_) => 0,
        }
    }
}
