//! One controller: runs a `Reconciler` over its queue with bounded concurrency until it is told to stop.
//!
//! The same path serves new, changed, deleted, restarted and resumed objects: at start all keys are woken once. Now
//! and then all keys are looked at again; a rescan that finds work is counted, because a wake-up was lost.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Backoff, Clock, Entropy, Key,
    queue::{Origin, Queue},
};

/// What a feature gives the driver. Everything it needs to know is loaded from the key.
#[async_trait]
pub trait Reconciler: Send + Sync + 'static {
    /// For logs and metrics, such as `service_instance`.
    fn name(&self) -> &'static str;

    /// Every key there is, for the start and for rescans. An error means: try again soon.
    async fn keys(&self) -> Result<Vec<Key>, Box<dyn std::error::Error + Send + Sync>>;

    /// Takes at most one step. Must do no harm when run at any time, any number of times.
    async fn reconcile(&self, key: Key) -> Next;

    /// A run of this key panicked: make that visible on the object.
    async fn panicked(&self, key: Key, message: &str);
}

/// When a key is to run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When somebody wakes it.
    Done,
    /// At once: there is another step to take, or somebody else saved first.
    Again,
    /// At this time, or when somebody wakes it.
    At(Timestamp),
    /// It failed for a reason of ours (the store, say): later, and later each time.
    Backoff,
}

#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Keys that run at a time.
    pub concurrency: usize,
    pub rescan: Duration,
    pub backoff: Backoff,
}

impl Default for Options {
    fn default() -> Self {
        Self { concurrency: 64, rescan: Duration::from_secs(300), backoff: Backoff::TRANSIENT }
    }
}

/// Counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    pub runs: AtomicU64,
    pub failures: AtomicU64,
    pub panics: AtomicU64,
    /// Rescans that found work.
    pub lost_wakeups: AtomicU64,
}

/// Wakes keys of one controller. Cheap to clone; never waits.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
    counters: Counters,
    /// All keys were looked at once.
    started: AtomicBool,
}

impl Waker {
    pub fn wake(&self, key: Key) {
        self.0.queue().wake(key, Origin::Wake);
        self.0.changed.notify_one();
    }

    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// When there is something to do next: `now` if a key runs or is queued, or the start is not over yet; `None` if only
    /// a wake-up can bring something. For tests, which move the clock there.
    pub fn busy_at(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.0.started.load(Ordering::Relaxed) {
            return Some(now);
        }
        self.0.queue().busy_at(now)
    }

    /// Nothing runs, is queued or has a time set. For tests.
    pub fn is_idle(&self) -> bool {
        self.0.queue().len() == 0
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A controller that has not been started.
pub struct Controller {
    reconciler: Arc<dyn Reconciler>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    options: Options,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller")
            .field("reconciler", &self.reconciler.name())
            .finish_non_exhaustive()
    }
}

impl Controller {
    pub fn new(
        reconciler: Arc<dyn Reconciler>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        options: Options,
    ) -> Self {
        Self { reconciler, clock, entropy, options, shared: Arc::default() }
    }

    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.shared))
    }

    /// Runs until `stop`; then waits for the runs under way, which leave what they do recorded.
    pub async fn run(self, stop: CancellationToken) {
        let mut running: JoinSet<(Key, Origin, Result<Next, String>)> = JoinSet::new();
        let mut rescan_at = self.clock.now();
        let mut origin = Origin::Wake; // the first scan is the start, not a search for lost wake-ups
        loop {
            if self.clock.now() >= rescan_at {
                rescan_at = self.scan(origin).await;
                origin = Origin::Rescan;
            }
            while running.len() < self.options.concurrency {
                let Some((key, from)) = self.shared.queue().take(self.clock.now()) else { break };
                running.spawn(run_one(Arc::clone(&self.reconciler), key, from));
            }
            let wake_at =
                self.shared.queue().next_due().map_or(rescan_at, |due| due.min(rescan_at));
            let full = running.len() >= self.options.concurrency;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = running.join_next() => self.ended(ended),
                () = self.shared.changed.notified(), if !full => {}
                () = self.clock.sleep_until(wake_at), if !full => {}
            }
        }
        while let Some(ended) = running.join_next().await {
            self.ended(ended);
        }
    }

    /// Wakes every key; when to do it again.
    async fn scan(&self, origin: Origin) -> Timestamp {
        let pause = match self.reconciler.keys().await {
            Ok(keys) => {
                let mut queue = self.shared.queue();
                for key in keys {
                    queue.wake(key, origin);
                }
                self.shared.started.store(true, Ordering::Relaxed);
                self.options.rescan
            }
            Err(error) => {
                tracing::warn!(controller = self.reconciler.name(), %error, "cannot list keys");
                self.options.backoff.first
            }
        };
        later(self.clock.now(), pause)
    }

    fn ended(&self, ended: Result<(Key, Origin, Result<Next, String>), tokio::task::JoinError>) {
        // A task that was cancelled from outside is the runtime going away.
        let Ok((key, origin, outcome)) = ended else { return };
        let counters = &self.shared.counters;
        counters.runs.fetch_add(1, Ordering::Relaxed);
        if outcome.is_err() {
            counters.panics.fetch_add(1, Ordering::Relaxed);
        }
        if origin == Origin::Rescan && outcome.as_ref().is_ok_and(|next| *next != Next::Done) {
            counters.lost_wakeups.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(controller = self.reconciler.name(), key = %key.0, "a rescan found work");
        }
        let mut queue = self.shared.queue();
        match outcome.unwrap_or(Next::Backoff) {
            Next::Done => queue.finish(key, None),
            Next::At(at) => queue.finish(key, Some(at)),
            Next::Again => {
                queue.wake(key, Origin::Wake);
                queue.finish(key, None);
            }
            Next::Backoff => {
                counters.failures.fetch_add(1, Ordering::Relaxed);
                let tries = queue.fail(key);
                let wait = self.options.backoff.delay(tries, self.entropy.number());
                queue.settle(key, Some(later(self.clock.now(), wait)));
            }
        }
    }
}

async fn run_one(
    reconciler: Arc<dyn Reconciler>,
    key: Key,
    origin: Origin,
) -> (Key, Origin, Result<Next, String>) {
    // A task of its own, because a panic in it must end here. What it held is loaded afresh next time.
    let inner = Arc::clone(&reconciler);
    let outcome = match tokio::spawn(async move { inner.reconcile(key).await }).await {
        Ok(next) => Ok(next),
        Err(error) => {
            let message = panic_message(error);
            tracing::error!(controller = reconciler.name(), key = %key.0, message, "a reconcile panicked");
            reconciler.panicked(key, &message).await;
            Err(message)
        }
    };
    (key, origin, outcome)
}

fn panic_message(error: tokio::task::JoinError) -> String {
    if !error.is_panic() {
        return "cancelled".to_owned();
    }
    let payload = error.into_panic();
    let text = payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "panic without a message".to_owned())
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
