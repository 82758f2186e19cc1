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
mod tests {
    use std::{collections::HashMap, sync::atomic::AtomicUsize};

    use uuid::Uuid;

    use super::*;
    use crate::{ManualClock, SeededEntropy};

    #[derive(Default)]
    struct Script {
        answers: Mutex<HashMap<u128, Vec<Next>>>,
        runs: Mutex<Vec<u128>>,
        now_running: AtomicUsize,
        most_running: AtomicUsize,
        known: Vec<u128>,
        panics_on: Option<u128>,
        panicked: Mutex<Vec<String>>,
        gate: Option<Arc<tokio::sync::Semaphore>>,
    }

    #[async_trait]
    impl Reconciler for Script {
        fn name(&self) -> &'static str {
            "script"
        }
        async fn keys(&self) -> Result<Vec<Key>, Box<dyn std::error::Error + Send + Sync>> {
            Ok(self.known.iter().map(|n| Key(Uuid::from_u128(*n))).collect())
        }
        async fn reconcile(&self, key: Key) -> Next {
            let number = key.0.as_u128();
            let running = self.now_running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_running.fetch_max(running, Ordering::SeqCst);
            if let Some(gate) = &self.gate {
                gate.acquire().await.unwrap().forget();
            }
            self.now_running.fetch_sub(1, Ordering::SeqCst);
            self.runs.lock().unwrap().push(number);
            assert_ne!(self.panics_on, Some(number), "the test asked for it");
            self.answers
                .lock()
                .unwrap()
                .get_mut(&number)
                .and_then(|list| if list.is_empty() { None } else { Some(list.remove(0)) })
                .unwrap_or(Next::Done)
        }
        async fn panicked(&self, _: Key, message: &str) {
            self.panicked.lock().unwrap().push(message.to_owned());
        }
    }

    struct Rig {
        script: Arc<Script>,
        clock: Arc<ManualClock>,
        waker: Waker,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    fn start(script: Script, concurrency: usize) -> Rig {
        let script = Arc::new(script);
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let options = Options { concurrency, ..Options::default() };
        let controller = Controller::new(
            Arc::clone(&script) as Arc<dyn Reconciler>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(SeededEntropy::new(7)),
            options,
        );
        let (waker, stop) = (controller.waker(), CancellationToken::new());
        let task = tokio::spawn(controller.run(stop.clone()));
        Rig { script, clock, waker, stop, task }
    }

    impl Rig {
        async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
            for _ in 0..100_000 {
                if done(self) {
                    return;
                }
                tokio::task::yield_now().await;
            }
            panic!("never came: {what}; runs so far {:?}", self.script.runs.lock().unwrap());
        }
        fn runs(&self) -> usize {
            self.script.runs.lock().unwrap().len()
        }
        async fn finish(self) {
            self.stop.cancel();
            self.task.await.unwrap();
        }
    }

    #[tokio::test]
    async fn all_keys_run_at_start_and_a_woken_key_runs_again() {
        let rig = start(Script { known: vec![1, 2], ..Script::default() }, 8);
        rig.until("both ran", |rig| rig.runs() == 2).await;
        rig.waker.wake(Key(Uuid::from_u128(2)));
        rig.until("woken", |rig| rig.runs() == 3).await;
        assert_eq!(rig.waker.counters().lost_wakeups.load(Ordering::Relaxed), 0);
        rig.finish().await;
    }

    #[tokio::test]
    async fn no_more_keys_run_at_a_time_than_allowed() {
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let script = Script {
            known: (1..=20).collect(),
            gate: Some(Arc::clone(&gate)),
            ..Script::default()
        };
        let rig = start(script, 3);
        rig.until("three run", |rig| rig.script.now_running.load(Ordering::SeqCst) == 3).await;
        gate.add_permits(20);
        rig.until("all ran", |rig| rig.runs() == 20).await;
        assert_eq!(rig.script.most_running.load(Ordering::SeqCst), 3);
        rig.finish().await;
    }

    #[tokio::test]
    async fn a_failing_key_waits_longer_each_time_and_a_set_time_is_kept() {
        let script = Script { known: vec![1], ..Script::default() };
        let later = Timestamp::from_second(100).unwrap();
        script
            .answers
            .lock()
            .unwrap()
            .insert(1, vec![Next::Backoff, Next::Backoff, Next::At(later)]);
        let rig = start(script, 1);
        rig.until("first", |rig| rig.runs() == 1).await;
        rig.clock.advance(Duration::from_secs(1));
        rig.until("second", |rig| rig.runs() == 2).await;
        rig.clock.advance(Duration::from_secs(2));
        rig.until("third", |rig| rig.runs() == 3).await;
        rig.clock.advance(Duration::from_secs(97));
        rig.until("at its time", |rig| rig.runs() == 4).await;
        rig.finish().await;
    }

    #[tokio::test]
    async fn a_panic_is_an_error_on_that_key_and_the_others_go_on() {
        let rig = start(Script { known: vec![1, 2], panics_on: Some(1), ..Script::default() }, 4);
        rig.until("told", |rig| rig.script.panicked.lock().unwrap().len() == 1).await;
        rig.until("other ran", |rig| rig.script.runs.lock().unwrap().contains(&2)).await;
        assert!(rig.script.panicked.lock().unwrap()[0].contains("the test asked for it"));
        rig.finish().await;
    }

    #[tokio::test]
    async fn a_rescan_that_finds_work_is_counted_as_a_lost_wake_up() {
        let rig = start(Script { known: vec![1], ..Script::default() }, 4);
        rig.until("start", |rig| rig.runs() == 1).await;
        rig.script.answers.lock().unwrap().insert(1, vec![Next::Again]);
        rig.clock.advance(Duration::from_secs(301));
        rig.until("rescan", |rig| rig.runs() == 3).await;
        assert_eq!(rig.waker.counters().lost_wakeups.load(Ordering::Relaxed), 1);
        rig.finish().await;
    }
}
