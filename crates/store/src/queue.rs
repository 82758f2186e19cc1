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
    SweepBlobs {
        limit: usize,
    },
    Reseal {
        limit: usize,
    },
    DeleteRuns(Vec<Uuid>),
    /// Gives back pages that hold nothing.
    Shrink {
        limit: usize,
    },
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
        if state.runs_due.is_none() && !state.runs.is_empty() {
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
                // Nothing was due after all.
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
            Self::SweepBlobs { .. }
            | Self::Reseal { .. }
            | Self::DeleteRuns(_)
            | Self::Shrink { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunState;

    fn batch(bytes: usize) -> Work {
        let mut batch = Batch::system("test");
        if bytes > 0 {
            batch.put_blob(vec![0; bytes]);
        }
        Work::Batch(batch)
    }

    fn record() -> RunRecord {
        RunRecord {
            id: Uuid::nil(),
            organization: Uuid::nil().into(),
            function: Uuid::nil(),
            state: RunState::Done,
            created: jiff::Timestamp::UNIX_EPOCH,
            finished: None,
            body: String::new(),
        }
    }

    /// Submits all of them, one after another, and lets each go as far as it gets.
    async fn submit(queue: &Arc<Queue>, works: Vec<Work>) -> tokio::task::JoinSet<Answer> {
        let mut waiting = tokio::task::JoinSet::new();
        for work in works {
            let queue = Arc::clone(queue);
            waiting.spawn(async move { queue.submit(work).await });
            settle().await;
        }
        waiting
    }

    async fn settle() {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn no_more_wait_in_the_queue_than_it_has_places() {
        let queue = Arc::new(Queue::new(2));
        let waiting = submit(&queue, (0..5).map(|_| batch(0)).collect()).await;
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let group = queue.next().unwrap();
            sizes.push(group.jobs.len());
            for job in group.jobs {
                job.answer.send(Ok(Outcome::default())).unwrap();
            }
            settle().await;
        }
        assert_eq!(sizes, [2, 2, 1]);
        assert!(waiting.join_all().await.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn a_group_has_a_greatest_size() {
        let check = async |works: Vec<Work>, expect: &[usize]| {
            let queue = Arc::new(Queue::new(1_000));
            let _waiting = submit(&queue, works).await;
            queue.close();
            let sizes: Vec<_> =
                std::iter::from_fn(|| queue.next()).map(|group| group.jobs.len()).collect();
            assert_eq!(sizes, expect);
        };
        let jobs = |count: usize| (0..count).map(|_| batch(0)).collect();
        check(jobs(GROUP_JOBS_MAX), &[GROUP_JOBS_MAX]).await;
        check(jobs(GROUP_JOBS_MAX + 1), &[GROUP_JOBS_MAX, 1]).await;
        let half = GROUP_BYTES_MAX / 2 - crate::run::ROW_BYTES;
        check(vec![batch(half), batch(half)], &[2]).await;
        check(vec![batch(half), batch(half + 1)], &[1, 1]).await;
        check(vec![batch(GROUP_BYTES_MAX + 1), batch(0)], &[1, 1]).await;
    }

    #[tokio::test]
    async fn a_closed_queue_hands_out_what_it_has_and_takes_nothing() {
        let queue = Arc::new(Queue::new(1));
        let mut waiting = submit(&queue, vec![batch(0), batch(0)]).await;
        queue.record(record());
        queue.close();
        queue.record(record());
        assert_eq!(queue.runs_dropped(), 1);
        let refused = waiting.join_next().await.unwrap().unwrap();
        assert!(matches!(refused, Err(CommitError::Closed)), "the one without a place");
        let group = queue.next().unwrap();
        assert_eq!((group.jobs.len(), group.runs.len()), (1, 1));
        queue.give_back(group.runs);
        assert_eq!(queue.runs_dropped(), 2, "there is no later");
        assert!(queue.next().is_none());
    }

    #[test]
    fn a_record_that_is_dropped_at_once_wakes_nobody() {
        let queue = Queue::new(1);
        let mut big = record();
        big.body = "x".repeat(RunBuffer::BYTES_MAX + 1);
        queue.record(big);
        assert_eq!(queue.runs_dropped(), 1);
        assert!(queue.state().runs_due.is_none());
    }

    #[test]
    fn close_tries_runs_that_have_failed_once_more() {
        let queue = Queue::new(1);
        queue.record(record());
        let taken = queue.state().runs.take(1);
        queue.give_back(taken);
        queue.state().runs_due = Some(Instant::now() + Duration::from_secs(3_600));
        queue.close();
        assert_eq!(queue.next().unwrap().runs.len(), 1);
        assert!(queue.next().is_none());
    }

    #[tokio::test]
    async fn runs_go_with_the_next_group_unless_they_have_failed() {
        let queue = Arc::new(Queue::new(9));
        queue.record(record());
        let _first = submit(&queue, vec![batch(0)]).await;
        let group = queue.next().unwrap();
        assert_eq!((group.jobs.len(), group.runs.len()), (1, 1));
        queue.give_back(group.runs);
        queue.state().runs_due = Some(Instant::now() + Duration::from_secs(3_600));
        let _second = submit(&queue, vec![batch(0)]).await;
        let group = queue.next().unwrap();
        assert_eq!((group.jobs.len(), group.runs.len()), (1, 0), "later, they may fail again");
        queue.state().runs_due = Some(Instant::now());
        let group = queue.next().unwrap();
        assert_eq!((group.jobs.len(), group.runs.len()), (0, 1), "when they are due");
    }
}
