//! Workers of this process: the same interpreter, shim and handler as a server's, with nothing in front of them. What a
//! server adds is the difference.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dispatch_engine::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use dispatch_runtime::{
    frame::Load,
    host::{self, Language},
    logs::FunctionLog,
    revision::CODE,
    spawn::{DirectSpawner, LayerMount, RootSpec, Spawn, WorkerSpec},
    spawner::{self, Helper, Spawner, SpawnerConfig, UidRange},
    worker::{self, Ambient, CallInput, Interpreter, Outcome, Start, Worker},
};
use tokio::runtime::Runtime;

use super::{
    Trouble,
    cores::{Cores, Mode, Side},
    functions::{HELLO, HELLO_FILE, HELLO_HANDLER, hello_input, hello_output},
    note,
};

/// What a server puts around a call's own members.
const CONTEXT: &str = r#"{"secrets":{},"serviceBindings":{},"services":{},"timeout":60000,"deadline":"2026-01-02T03:04:05.678901234Z"}"#;
const TIMEOUT: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(1);
/// Not those of a server that runs at the same time.
const UIDS: UidRange = UidRange { first: 2_000_100_000, count: 1_000 };

/// Started before this process has threads.
#[derive(Debug)]
pub struct Prepared {
    helper: Option<Helper>,
    code: PathBuf,
}

/// Starts this program again as a spawn helper, as a server does. Where the machine allows no sandbox, `Bare` goes
/// without one and says so.
pub fn prepare(directory: &Path) -> Result<Prepared, Trouble> {
    let layers = directory.join("layers");
    let code = layers.join("hello");
    fs::create_dir_all(&code)
        .and_then(|()| fs::write(code.join(HELLO_FILE), HELLO))
        .and_then(|()| fs::set_permissions(&code, fs::Permissions::from_mode(0o755)))
        .and_then(|()| {
            fs::set_permissions(code.join(HELLO_FILE), fs::Permissions::from_mode(0o644))
        })
        .map_err(Trouble::io("write a function"))?;
    let mut config = SpawnerConfig::new(SystemEntropy.uuid(), vec![layers]);
    config.uids = UIDS;
    let found = host::find(Language::Python3, std::env::var_os("PATH").as_deref());
    config.base_roots = found.map(|found| found.prefixes).unwrap_or_default();
    let helper = spawner::start(&config)
        .inspect_err(|error| note(&format!("no sandbox for the bare worker: {error}")))
        .ok();
    Ok(Prepared { helper, code })
}

/// Starts workers and calls them, from the thread that owns it.
#[derive(Debug)]
pub struct Bare {
    runtime: Runtime,
    sandboxed: Option<Spawner>,
    helper: Option<u32>,
    python: host::Interpreter,
    code: PathBuf,
}

impl Bare {
    pub fn new(prepared: Prepared) -> Result<Self, Trouble> {
        let Prepared { helper, code } = prepared;
        let python = host::find(Language::Python3, std::env::var_os("PATH").as_deref())
            .map_err(|error| Trouble::Missing(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Trouble::io("make a runtime"))?;
        let pid = helper.as_ref().map(Helper::pid);
        let inside = runtime.enter();
        let sandboxed = helper.map(Spawner::new).transpose();
        let sandboxed = sandboxed.map_err(Trouble::io("take over the spawn helper"))?;
        drop(inside);
        Ok(Self { runtime, sandboxed, helper: pid, python, code })
    }

    /// How its warm worker is held, for people.
    #[must_use]
    pub fn confinement(&self) -> String {
        let held = self.sandboxed.as_ref().map(|spawner| spawner.confinement().to_string());
        held.unwrap_or_else(|| "no sandbox (DirectSpawner)".to_owned())
    }

    /// Workers that are started from now on are where a server's are.
    pub fn place(&self, cores: &Cores, mode: Mode) -> Result<(), Trouble> {
        let Some(pid) = self.helper else { return Ok(()) };
        cores.place(pid, mode, Side::Server).map_err(Trouble::io("place the spawn helper"))
    }

    /// A worker with the trivial function loaded, in the sandbox that a server uses.
    pub fn worker(&self) -> Result<Worker, Trouble> {
        let spec = match &self.sandboxed {
            Some(_) => RootSpec {
                base: self.python.base(),
                layers: vec![LayerMount {
                    host: self.code.clone(),
                    inside: CODE.into(),
                    read_only: true,
                }],
            },
            None => RootSpec::default(),
        };
        match &self.sandboxed {
            Some(spawner) => self.runtime.block_on(self.start(spawner, spec, CODE)),
            None => self.direct(),
        }
    }

    fn direct(&self) -> Result<Worker, Trouble> {
        let code = self.code.to_string_lossy();
        self.runtime.block_on(self.start(&DirectSpawner, RootSpec::default(), &code))
    }

    async fn start(
        &self,
        spawner: &dyn Spawn,
        root: RootSpec,
        code: &str,
    ) -> Result<Worker, Trouble> {
        let log = Arc::new(FunctionLog::default());
        let start = Start {
            spawner,
            ambient: Ambient { unix_ms, random },
            log: Arc::clone(&log),
            grace: GRACE,
            on_exit: Box::new(|_| {}),
        };
        let argv = worker::argv(Language::Python3, &self.python.executable.to_string_lossy());
        let spec = WorkerSpec::new(SystemEntropy.uuid(), uuid::Uuid::nil(), argv, root);
        let load = Load {
            handler: HELLO_HANDLER.to_owned(),
            code: code.to_owned(),
            dependencies: Vec::new(),
        };
        let started = async { Interpreter::start(start, spec).await?.load(&load, log).await };
        started.await.map_err(|error| Trouble::wrong("start a worker here", error.reason()))
    }

    /// Round trips to a warm worker, one after the other, each checked.
    pub fn calls(&self, worker: &mut Worker, count: usize) -> Result<Vec<Duration>, Trouble> {
        let payload = Bytes::from(hello_input().to_string());
        let expect = Bytes::from(hello_output().to_string());
        self.runtime.block_on(async {
            let mut took = Vec::with_capacity(count);
            for _ in 0..count {
                let input = CallInput {
                    run: SystemEntropy.uuid(),
                    timeout: TIMEOUT,
                    context: Bytes::from_static(CONTEXT.as_bytes()),
                    payload: payload.clone(),
                };
                let begun = Instant::now();
                let opened = worker.begin(input);
                let outcome = worker.finish().await.outcome;
                took.push(begun.elapsed());
                let is_right = matches!(&outcome, Outcome::Returned(text) if *text == expect);
                if opened.is_err() || !is_right {
                    return Err(Trouble::wrong(
                        "a call of the bare worker",
                        format!("{outcome:?}"),
                    ));
                }
            }
            Ok(took)
        })
    }

    /// From nothing to the first answer, without a sandbox. The worker is ended again.
    pub fn first_answer(&self) -> Result<Duration, Trouble> {
        let begun = Instant::now();
        let mut worker = self.direct()?;
        self.calls(&mut worker, 1)?;
        let took = begun.elapsed();
        worker.kill();
        let process = worker.process().clone();
        self.runtime.block_on(async { process.wait().await });
        Ok(took)
    }
}

fn unix_ms() -> u64 {
    u64::try_from(SystemClock.now().as_millisecond()).unwrap_or(0)
}

fn random() -> u64 {
    SystemEntropy.number()
}
