//! Pools under load, overload and attack.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dispatch_runtime::frame::MAX_PAYLOAD_BYTES;
use dispatch_runtime::pool::{CallError, Phase, Settings};
use futures::future::join_all;
use uuid::Uuid;

use super::support::{FUNCTION, Stage, call, text, until};

const ECHO: &str = "def handle(ctx, payload): return payload\n";
const PID: &str = "import os\ndef handle(ctx, payload): return os.getpid()\n";
/// Runs until the file exists that the payload names.
const GATE: &str = "import os, time\n\
    def handle(ctx, payload):\n\
    \x20   while not os.path.exists(payload): time.sleep(0.005)\n\
    \x20   return os.getpid()\n";

fn settings() -> Settings {
    // Tests run beside each other: a start may take its turn for long.
    Settings { start_timeout: Duration::from_secs(120), ..Settings::default() }
}

struct Gate(tempfile::TempDir);

impl Gate {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn payload(&self) -> String {
        serde_json::to_string(&self.0.path().join("open")).unwrap()
    }

    fn open(&self) {
        std::fs::write(self.0.path().join("open"), "").unwrap();
    }
}

#[tokio::test]
async fn the_first_call_is_cold_and_the_next_one_warm_on_the_same_worker() {
    let stage = Stage::with(settings(), PID);
    let first = stage.call("{}").await.unwrap();
    let second = stage.call("{}").await.unwrap();
    assert_eq!((first.cold, second.cold), (true, false));
    assert_eq!(first.result.unwrap(), second.result.unwrap());
    let counts = stage.pools.counts();
    assert_eq!((counts.starts, counts.warm_calls, counts.waited_calls), (1, 1, 1));
    stage.finish().await;
}

#[tokio::test]
async fn a_function_that_nobody_set_is_not_found() {
    let stage = Stage::new(settings());
    let answer = stage.pools.call(Uuid::nil(), &call("1")).await;
    assert!(matches!(answer, Err(CallError::NotFound)), "{answer:?}");
}

#[tokio::test]
async fn sixty_four_calls_at_once_are_all_answered_by_at_most_four_workers() {
    let stage = Stage::with(settings(), ECHO);
    let answers = join_all((0..64).map(|n| {
        let stage = &stage;
        async move { (n.to_string(), stage.text(&n.to_string()).await) }
    }))
    .await;
    for (asked, answered) in answers {
        assert_eq!(asked, answered);
    }
    assert!(stage.alive() <= 4);
    stage.finish().await;
}

#[tokio::test]
async fn calls_that_wait_for_a_slow_import_share_one_start() {
    let slow = format!("import time\ntime.sleep(0.6)\n{PID}");
    let stage = Stage::with(settings(), &slow);
    let answers = join_all((0..20).map(|_| stage.text("{}"))).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(stage.pools.counts().starts, 1);
    stage.finish().await;
}

#[tokio::test]
async fn long_calls_get_workers_of_their_own_up_to_the_bound() {
    let stage = Stage::with(settings(), GATE);
    let gate = Gate::new();
    let payload = gate.payload();
    let calls = join_all((0..6).map(|_| stage.text(&payload)));
    let watch = async {
        stage.until_busy(4).await;
        assert_eq!(stage.pools.counts().waiting, 2);
        gate.open();
    };
    let (answers, ()) = tokio::join!(calls, watch);
    let mut workers = answers.clone();
    workers.sort();
    workers.dedup();
    assert_eq!(workers.len(), 4, "{answers:?}");
    assert_eq!(stage.pools.counts().starts, 4);
    stage.finish().await;
}

#[tokio::test]
async fn one_call_more_than_may_wait_is_refused() {
    let stage = Stage::with(Settings { max_workers: 1, max_waiting: 2, ..settings() }, GATE);
    warm(&stage).await;
    let gate = Gate::new();
    let payload = gate.payload();
    let calls = join_all((0..3).map(|_| stage.text(&payload)));
    let refused = async {
        until(|| {
            let busy = stage.pools.workers_with(|worker| worker.phase == Phase::Busy).len();
            let state = (busy, stage.pools.counts().waiting);
            if state == (1, 2) { Ok(()) } else { Err(state) }
        })
        .await;
        let refused = stage.call(&payload).await;
        assert!(matches!(refused, Err(CallError::Overloaded { waiting: 2 })), "{refused:?}");
        assert_eq!(stage.pools.counts().overloaded, 1);
        // A caller that goes away makes room.
        gate.open();
    };
    tokio::join!(calls, refused);
    assert_eq!(stage.text(&payload).await, stage.text(&payload).await);
    stage.finish().await;
}

#[tokio::test]
async fn a_waiting_call_whose_caller_went_away_makes_room_and_loses_no_worker() {
    let stage = Stage::with(Settings { max_workers: 1, max_waiting: 1, ..settings() }, GATE);
    warm(&stage).await;
    let gate = Gate::new();
    let payload = gate.payload();
    let running = stage.text(&payload);
    let others = async {
        stage.until_busy(1).await;
        for _ in 0..3 {
            let short = Duration::from_millis(30);
            let gone = tokio::time::timeout(short, stage.call(&payload)).await;
            assert!(!matches!(gone, Ok(Err(CallError::Overloaded { .. }))), "{gone:?}");
        }
        gate.open();
    };
    let (first, ()) = tokio::join!(running, others);
    assert_eq!(stage.text(&payload).await, first, "the one worker is still there");
    stage.finish().await;
}

#[tokio::test]
async fn a_call_waits_for_a_worker_for_so_long_and_no_longer() {
    let wait = Duration::from_millis(100);
    let stage = Stage::with(Settings { max_workers: 1, max_wait: wait, ..settings() }, GATE);
    warm(&stage).await;
    let gate = Gate::new();
    let payload = gate.payload();
    let late = async {
        stage.until_busy(1).await;
        let late = stage.call(&payload).await;
        assert!(matches!(late, Err(CallError::WaitedTooLong { .. })), "{late:?}");
        gate.open();
    };
    tokio::join!(stage.text(&payload), late);
    stage.finish().await;
}

/// Starts a worker of GATE, however long that takes; its process id.
async fn warm(stage: &Stage) -> String {
    loop {
        match stage.call("\"/\"").await {
            Err(CallError::WaitedTooLong { .. }) => {}
            answer => return text(answer),
        }
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_call_and_the_worker_alone() {
    let stage = Stage::with(Settings { max_workers: 1, ..settings() }, GATE);
    let pid = warm(&stage).await;
    let gate = Gate::new();
    let payload = gate.payload();
    let gone = tokio::time::timeout(Duration::from_millis(50), stage.call(&payload)).await;
    assert!(gone.is_err(), "{gone:?}");
    let busy = stage.pools.workers_with(|worker| worker.phase == Phase::Busy).len();
    assert_eq!((busy, stage.pools.counts().abandoned), (1, 1), "the call goes on");
    gate.open();
    assert_eq!(warm(&stage).await, pid, "the worker is still there");
    stage.finish().await;
}

#[tokio::test]
async fn a_call_over_its_timeout_costs_its_worker_only() {
    let stage = Stage::with(
        settings(),
        "import os\ndef handle(ctx, payload):\n    while payload: pass\n    return os.getpid()\n",
    );
    let pid = stage.text("false").await;
    let mut endless = call("true");
    endless.timeout = Duration::from_millis(200);
    let answer = stage.pools.call(FUNCTION, &endless).await.unwrap();
    let failure = answer.result.unwrap_err();
    assert_eq!(failure.message, "Function execution exceeded the timeout");
    assert_ne!(stage.text("false").await, pid);
    let counts = stage.pools.counts();
    assert_eq!((counts.timeouts, counts.crashes, counts.starts), (1, 0, 2));
    stage.finish().await;
}

#[tokio::test]
async fn an_abandoned_call_is_still_killed_at_its_timeout() {
    let stage = Stage::with(settings(), "def handle(ctx, payload):\n    while payload: pass\n");
    stage.text("false").await;
    let mut endless = call("true");
    endless.timeout = Duration::from_millis(300);
    let calling = stage.pools.call(FUNCTION, &endless);
    assert!(tokio::time::timeout(Duration::from_millis(50), calling).await.is_err());
    stage.until_alive(0).await;
    assert_eq!(stage.pools.counts().timeouts, 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_worker_without_calls_ends_after_the_keep_alive() {
    let keep_alive = Duration::from_millis(100);
    let stage = Stage::with(Settings { keep_alive, ..settings() }, PID);
    let first = stage.text("{}").await;
    stage.until_alive(0).await;
    assert_eq!(stage.pools.counts().expired, 1);
    assert_ne!(stage.text("{}").await, first);
    stage.until_alive(0).await;
    assert_eq!(stage.pools.counts().expired, 2, "and so does the next one");
    stage.finish().await;
}

#[tokio::test]
async fn a_worker_that_dies_or_babbles_between_calls_costs_no_call() {
    for (what, deed) in [
        ("dies", "os.kill(os.getpid(), 9)"),
        ("hangs up", "socket.socket(fileno=os.dup(3)).shutdown(2)"),
        ("babbles", "os.write(3, b'garbage')"),
        ("answers again", "os.write(3, struct.pack('>IBQ', 10, 19, 5) + b'1')"),
    ] {
        let stage = Stage::with(
            settings(),
            &format!(
                "import os, threading, struct, socket\n\
                 def handle(ctx, payload):\n\
                 \x20   if payload: threading.Timer(0.05, lambda: ({deed}, mark(payload))).start()\n\
                 \x20   return os.getpid()\n\
                 def mark(path): open(path, 'w').close()\n"
            ),
        );
        let gate = Gate::new();
        let pid = stage.text(&gate.payload()).await;
        let done = gate.0.path().join("open");
        until(|| if done.exists() || stage.alive() == 0 { Ok(()) } else { Err(what) }).await;
        assert_ne!(stage.text("null").await, pid, "{what}: the call went to another worker");
        stage.finish().await;
    }
}

#[tokio::test]
async fn an_import_error_reaches_every_waiting_call_and_then_delays_starts() {
    let slow = Settings { first_backoff: Duration::from_secs(600), ..settings() };
    let slow = Settings { max_backoff: Duration::from_secs(600), ..slow };
    let mut stage = Stage::with(slow, "import nowhere\n");
    for answer in join_all((0..5).map(|_| stage.call("{}"))).await {
        let Err(CallError::StartFailed { error }) = answer else { panic!("{answer:?}") };
        assert!(error.reason().contains("No module named 'nowhere'"), "{}", error.reason());
    }
    let started = stage.pools.counts().starts;
    assert!(started < 5, "the calls shared {started} starts");
    let mut refused = stage.call("{}").await;
    for _ in 0..3 {
        if matches!(refused, Err(CallError::StartFailed { .. })) {
            refused = stage.call("{}").await;
        }
    }
    let Err(CallError::BackingOff { failures: 3, reason, retry_after }) = refused else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("nowhere"), "{reason}");
    assert!(retry_after > Duration::from_secs(500));
    assert_eq!(stage.pools.counts().starts, 3, "no further start is tried");
    let good = stage.revision(ECHO);
    stage.pools.set(FUNCTION, good);
    assert_eq!(stage.text("5").await, "5", "a new revision starts from nothing");
    stage.finish().await;
}

#[tokio::test]
async fn a_function_that_crashes_in_every_call_backs_off_and_recovers() {
    let quick = Settings { first_backoff: Duration::from_millis(50), ..settings() };
    let stage = Stage::with(
        quick,
        "import os\ndef handle(ctx, payload):\n    if payload: os._exit(9)\n    return 1\n",
    );
    for _ in 0..4 {
        // The fourth waits for the end of a delay that is short enough to wait for.
        let failure = stage.call("true").await.unwrap().result.unwrap_err();
        assert_eq!(failure.message, "the function's process exited with status 9 during the call");
    }
    assert_eq!(stage.text("false").await, "1");
    let counts = stage.pools.counts();
    assert_eq!((counts.crashes, counts.starts), (4, 5));
    stage.finish().await;
}

#[tokio::test]
async fn a_start_that_takes_too_long_is_given_up() {
    let soon = Settings { start_timeout: Duration::from_secs(2), ..settings() };
    let stage = Stage::with(soon, "import time\ntime.sleep(1000)\n");
    let answer = stage.call("{}").await;
    let Err(CallError::StartFailed { error }) = answer else { panic!("{answer:?}") };
    assert_eq!(error.reason(), "it was not loaded within 2 s");
    stage.until_alive(0).await;
    stage.finish().await;
}

#[tokio::test]
async fn a_payload_over_the_bound_is_refused_and_the_worker_stays() {
    let stage = Stage::with(settings(), PID);
    let pid = stage.text("{}").await;
    let mut large = call("");
    large.payload = Bytes::from(vec![b' '; MAX_PAYLOAD_BYTES + 1]);
    let refused = stage.pools.call(FUNCTION, &large).await;
    assert!(matches!(refused, Err(CallError::TooLarge(_))), "{refused:?}");
    assert_eq!(stage.text("{}").await, pid);
    stage.finish().await;
}

#[tokio::test]
async fn what_is_printed_outside_of_calls_is_in_the_functions_log() {
    let stage = Stage::with(settings(), "print('imported')\ndef handle(ctx, payload): pass\n");
    stage.text("{}").await;
    let (lines, dropped) = stage.pools.function_log(FUNCTION);
    assert_eq!((lines.len(), dropped), (1, 0));
    assert_eq!(lines[0].text, "imported");
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_several_functions_on_several_threads_do_not_mix() {
    let mut stage = Stage::new(settings());
    let functions: Vec<Uuid> = (100..103).map(Uuid::from_u128).collect();
    for function in &functions {
        let text = format!("def handle(ctx, payload): return ['{function}', payload]\n");
        let revision = stage.revision(&text);
        stage.pools.set(*function, revision);
    }
    let tasks = (0..90_usize).map(|n| {
        let (pools, function) = (stage.pools.clone(), functions[n % 3]);
        tokio::spawn(async move {
            let answer = text(pools.call(function, &call(&n.to_string())).await);
            assert_eq!(answer, format!("[\"{function}\",{n}]"));
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    stage.finish().await;
}

#[tokio::test]
async fn dropping_the_pools_ends_the_workers() {
    let stage = Stage::with(settings(), PID);
    stage.text("{}").await;
    let process = stage.pools.workers_with(|_| true)[0].process.clone().unwrap();
    let pools = stage.pools.clone();
    drop(stage);
    assert!(process.is_alive(), "one handle is left");
    drop(pools);
    tokio::time::timeout(Duration::from_secs(30), process.wait()).await.unwrap();
}

#[tokio::test]
async fn closing_kills_what_does_not_end_in_time() {
    let stage = Stage::with(settings(), "def handle(ctx, payload):\n    while True: pass\n");
    let stage = Arc::new(stage);
    let calling = {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.call("{}").await })
    };
    stage.until_busy(1).await;
    stage.pools.close(Duration::from_millis(50)).await;
    assert_eq!(stage.alive(), 0);
    assert!(calling.await.unwrap().unwrap().result.is_err());
    assert!(matches!(stage.call("{}").await, Err(CallError::NotFound)));
}
