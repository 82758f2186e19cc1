//! The controller with a reconciler that counts, on a clock that is moved by hand.

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
    let script =
        Script { known: (1..=20).collect(), gate: Some(Arc::clone(&gate)), ..Script::default() };
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
    script.answers.lock().unwrap().insert(1, vec![Next::Backoff, Next::Backoff, Next::At(later)]);
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
