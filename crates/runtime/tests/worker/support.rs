//! A function's source in a temporary directory, and workers on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dispatch_runtime::frame::{Failure, Load};
use dispatch_runtime::host::Language;
use dispatch_runtime::logs::{FunctionLog, Logs};
use dispatch_runtime::pool::{Answer, Call, CallError, Phase, Pools, Settings};
use dispatch_runtime::revision::{BindingVersion, Program, Revision, RevisionSpec};
use dispatch_runtime::spawn::{
    DirectSpawner, HostBase, Limits, NetworkSpec, RootSpec, Spawn, WorkerSpec,
};
use dispatch_runtime::worker::{
    Ambient, CallInput, Finished, Interpreter, Start, StartError, Worker, argv,
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
    start_in(Language::Python3, files, handler).await
}

pub(crate) async fn start_in(
    language: Language,
    files: &[(&str, &str)],
    handler: &str,
) -> Result<Running, StartError> {
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
    let program = match language {
        Language::Python3 => "/usr/bin/python3",
        Language::NodeJs => "/usr/bin/node",
    };
    let spec = WorkerSpec::new(id, Uuid::nil(), argv(language, program), RootSpec::default());
    let interpreter = Interpreter::start(start, spec).await?;
    assert_eq!(interpreter.hello().language, language.as_str());
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

pub(crate) const FUNCTION: Uuid = Uuid::from_u128(7);

/// Pools on plain children, one function, and the sources of its revisions.
pub(crate) struct Stage {
    pub(crate) pools: Pools,
    sources: Vec<TempDir>,
}

impl Stage {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::on(Arc::new(DirectSpawner), settings)
    }

    pub(crate) fn on(spawner: Arc<dyn Spawn>, settings: Settings) -> Self {
        Self { pools: Pools::new(spawner, None, AMBIENT, settings), sources: Vec::new() }
    }

    /// With a function whose one file this is.
    pub(crate) fn with(settings: Settings, text: &str) -> Self {
        let mut stage = Self::new(settings);
        let revision = stage.revision(text);
        stage.pools.set(FUNCTION, revision);
        stage
    }

    pub(crate) fn revision(&mut self, text: &str) -> Arc<Revision> {
        self.revision_bound(text, Vec::new())
    }

    pub(crate) fn revision_bound(
        &mut self,
        text: &str,
        bindings: Vec<BindingVersion>,
    ) -> Arc<Revision> {
        let source = source(&[("hello.py", text)]);
        let code = source.path().to_str().unwrap().to_owned();
        self.sources.push(source);
        Arc::new(Revision::new(RevisionSpec {
            organization: Uuid::nil(),
            program: Arc::new(Program::new(
                argv(Language::Python3, "/usr/bin/python3"),
                HostBase::default(),
            )),
            environment: Vec::new(),
            layers: Vec::new(),
            load: Load {
                handler: "hello.handle".to_owned(),
                code: code.clone(),
                dependencies: Vec::new(),
            },
            code_digest: code,
            base_digest: "python3".to_owned(),
            dependency_digests: Vec::new(),
            bindings,
            limits: Limits::default(),
            network: NetworkSpec::None,
        }))
    }

    pub(crate) async fn call(&self, payload: &str) -> Result<Answer, CallError> {
        self.pools.call(FUNCTION, &call(payload)).await
    }

    /// The text that the function returned.
    pub(crate) async fn text(&self, payload: &str) -> String {
        text(self.call(payload).await)
    }

    pub(crate) fn alive(&self) -> usize {
        self.pools.workers_with(|_| true).len()
    }

    /// Waits until the number of living workers is as expected.
    pub(crate) async fn until_alive(&self, expect: usize) {
        until(|| if self.alive() == expect { Ok(()) } else { Err(self.alive()) }).await;
    }

    /// Waits until so many workers are at a call.
    pub(crate) async fn until_busy(&self, expect: usize) {
        let busy = || self.pools.workers_with(|worker| worker.phase == Phase::Busy).len();
        until(|| if busy() == expect { Ok(()) } else { Err(busy()) }).await;
    }

    /// Ends with no process left.
    pub(crate) async fn finish(self) {
        self.pools.close(Duration::from_secs(20)).await;
        assert_eq!(self.alive(), 0, "workers are left over");
    }
}

pub(crate) fn call(payload: &str) -> Call {
    Call {
        id: Uuid::from_u128(1),
        timeout: Duration::from_secs(60),
        context: Bytes::from_static(br#"{"secrets":{}}"#),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        bindings: Arc::default(),
        endpoints: Arc::default(),
    }
}

pub(crate) fn text(answer: Result<Answer, CallError>) -> String {
    let answer = answer.map_err(|error| error.to_string()).unwrap();
    String::from_utf8(answer.result.unwrap().to_vec()).unwrap()
}

/// Asks until the answer is good; fails with the last bad one.
pub(crate) async fn until<E: std::fmt::Debug>(ask: impl Fn() -> Result<(), E>) {
    let mut last = None;
    for _ in 0..4000 {
        match ask() {
            Ok(()) => return,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain, at last for {last:?}");
}
