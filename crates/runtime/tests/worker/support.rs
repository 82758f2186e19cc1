//! A function's source in a temporary directory, and workers on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dispatch_runtime::frame::{Failure, Load};
use dispatch_runtime::logs::{FunctionLog, Logs};
use dispatch_runtime::spawn::{DirectSpawner, RootSpec, WorkerSpec};
use dispatch_runtime::worker::{
    Ambient, CallInput, Finished, Interpreter, PYTHON3_WORKER, Start, StartError, Worker,
};
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) const MEMORY: u64 = 256 << 20;

static COUNT: AtomicU64 = AtomicU64::new(1);

/// Repeatable within a test run and unequal, which is all that tests need of randomness.
pub(crate) fn random() -> u64 {
    COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

pub(crate) const AMBIENT: Ambient = Ambient { unix_ms, random };

pub(crate) fn python(code: &str) -> Vec<String> {
    ["/usr/bin/python3", "-I", "-S", "-B", "-X", "utf8", "-c", code].map(str::to_owned).to_vec()
}

/// A directory with the files of a function.
pub(crate) fn source(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

pub(crate) struct Running {
    pub(crate) worker: Worker,
    pub(crate) log: Arc<FunctionLog>,
    _source: TempDir,
}

pub(crate) async fn start(files: &[(&str, &str)], handler: &str) -> Result<Running, StartError> {
    let source = source(files);
    let log = Arc::new(FunctionLog::default());
    let start = Start {
        spawner: &DirectSpawner,
        ambient: AMBIENT,
        log: Arc::clone(&log),
        grace: Duration::from_secs(1),
        on_exit: Box::new(|_| ()),
    };
    let id = Uuid::from_u64_pair(random(), random());
    let spec = WorkerSpec::new(id, Uuid::nil(), python(PYTHON3_WORKER), RootSpec::default());
    let interpreter = Interpreter::start(start, spec).await?;
    assert_eq!(interpreter.hello().language, "python3");
    let load = Load {
        handler: handler.to_owned(),
        code: source.path().to_str().unwrap().to_owned(),
        dependencies: Vec::new(),
    };
    let worker = interpreter.load(&load, Arc::clone(&log)).await?;
    Ok(Running { worker, log, _source: source })
}

/// A worker with one file, `hello.py`, whose handler is `handle`.
pub(crate) async fn hello(text: &str) -> Running {
    start(&[("hello.py", text)], "hello.handle").await.unwrap()
}

pub(crate) fn input(payload: impl Into<Bytes>) -> CallInput {
    CallInput {
        run: Uuid::from_u128(1),
        timeout: Duration::from_secs(60),
        context: Bytes::from_static(br#"{"secrets":{},"serviceBindings":{}}"#),
        payload: payload.into(),
    }
}

impl Running {
    pub(crate) async fn finish(&mut self, input: CallInput) -> Finished {
        self.worker.begin(input).unwrap();
        self.worker.finish().await
    }

    pub(crate) async fn call(
        &mut self,
        payload: impl Into<Bytes>,
    ) -> (Result<String, Failure>, Logs) {
        let finished = self.finish(input(payload)).await;
        let result = finished.outcome.into_result(MEMORY);
        (result.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()), finished.logs)
    }

    /// The lines that belong to no call, once `done` likes them.
    pub(crate) async fn log_until(&self, done: impl Fn(&[String]) -> bool) -> Vec<String> {
        let mut last = Vec::new();
        for _ in 0..2000 {
            last = self.log.lines().0.into_iter().map(|line| line.text).collect();
            if done(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the function's log was at last {last:?}");
    }
}
