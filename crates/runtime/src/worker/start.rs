//! From a spec to a worker with its function loaded.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::channel::{Channel, ChannelError};
use super::watch::watch;
use super::{Ambient, Shared, Worker, how, with_causes};
use crate::frame::{Failure, FrameError, Hello, Load, PROTOCOL_VERSION, WorkerFrame, load_frame};
use crate::logs::{FunctionLog, LogTap, last_errors};
use crate::spawn::{Confinement, Endpoint, Exit, Process, Spawn, SpawnError, WorkerSpec};

/// How long the server waits to learn how a process ended once its channel is closed.
const EXIT_WAIT: Duration = Duration::from_secs(2);

/// Why there is no worker. Each reads after "the function cannot be started: ".
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("failed to start a worker")]
    Spawn(#[source] SpawnError),
    #[error("failed to take over the worker's descriptors")]
    Descriptors(#[source] std::io::Error),
    #[error("its process {how}{said}")]
    Exited { how: String, said: String },
    #[error("its worker closed the connection")]
    HungUp,
    #[error("its worker broke the protocol: {0}")]
    Protocol(FrameError),
    #[error("its worker broke the protocol: a {0} frame came where none was due")]
    Unexpected(&'static str),
    #[error("its worker speaks protocol {found}, the server {PROTOCOL_VERSION}")]
    Version { found: u32 },
    #[error("it was not loaded within {} s", .after.as_secs())]
    TimedOut { after: Duration },
    #[error("the server panicked while it started a worker")]
    Panicked,
    /// The module cannot be imported, or the handler is missing or of the wrong shape.
    #[error("{}", .0.message)]
    Load(Failure),
}

impl StartError {
    /// The error with its causes in one line.
    #[must_use]
    pub fn reason(&self) -> String {
        with_causes(self)
    }
}

/// What a start needs besides the spec.
pub struct Start<'a> {
    pub spawner: &'a dyn Spawn,
    pub ambient: Ambient,
    /// Where output goes that belongs to no call.
    pub log: Arc<FunctionLog>,
    /// Between hanging up and SIGKILL.
    pub grace: Duration,
    /// Called once, when no process of the worker is left; also if the start fails after the
    /// process began.
    pub on_exit: Box<dyn FnOnce(Exit) + Send>,
}

impl std::fmt::Debug for Start<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start").field("spawner", &self.spawner).finish_non_exhaustive()
    }
}

/// A process that has said hello and has nothing loaded: what a store of ready interpreters keeps.
#[derive(Debug)]
pub struct Interpreter {
    worker: Worker,
    hello: Hello,
    memory_bytes: u64,
    /// The listeners of its endpoints, until somebody takes them.
    pub listeners: Vec<(Endpoint, OwnedFd)>,
}

impl Interpreter {
    /// Starts a process and waits for its hello. Dropping the future kills it.
    pub async fn start(start: Start<'_>, spec: WorkerSpec) -> Result<Self, StartError> {
        let memory_bytes = spec.limits.memory_bytes;
        let spawned = start.spawner.spawn(spec).await.map_err(StartError::Spawn)?;
        let log = start.log;
        let unix_ms = start.ambient.unix_ms;
        let tap = LogTap::new(spawned.stdout, spawned.stderr, Arc::clone(&log), unix_ms)
            .map_err(StartError::Descriptors)?;
        let channel = Channel::new(spawned.channel).map_err(StartError::Descriptors)?;
        let shared = Arc::new(Shared {
            process: spawned.process,
            tap,
            ending: Notify::new(),
            confinement: spawned.confinement,
        });
        tokio::spawn(watch(Arc::clone(&shared), start.grace, start.on_exit));
        let worker =
            Worker { shared, channel, ambient: start.ambient, head: Vec::new(), open: None };
        let mut starting = Starting { worker: Some(worker), memory_bytes, log };
        let hello = match starting.frame().await? {
            WorkerFrame::Hello(hello) => hello,
            other => return Err(unexpected(&other)),
        };
        if hello.protocol != PROTOCOL_VERSION {
            return Err(StartError::Version { found: hello.protocol });
        }
        let listeners = spawned.listeners;
        Ok(Self { worker: starting.done(), hello, memory_bytes, listeners })
    }

    /// Proves a base: an interpreter starts with this spec and says hello. It is ended again.
    pub async fn prove(
        spawner: &dyn Spawn,
        ambient: Ambient,
        spec: WorkerSpec,
        limit: Duration,
    ) -> Result<Hello, StartError> {
        let log = Arc::new(FunctionLog::default());
        let (grace, on_exit) = (Duration::ZERO, Box::new(|_| ()));
        let start = Start { spawner, ambient, log, grace, on_exit };
        match tokio::time::timeout(limit, Self::start(start, spec)).await {
            Ok(interpreter) => interpreter.map(|interpreter| interpreter.hello),
            Err(_) => Err(StartError::TimedOut { after: limit }),
        }
    }

    /// What the interpreter said of itself.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    #[must_use]
    pub fn process(&self) -> &Process {
        self.worker.process()
    }

    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        self.worker.confinement()
    }

    /// Loads a function. Dropping the future kills the process, an error ends it.
    pub async fn load(self, load: &Load, log: Arc<FunctionLog>) -> Result<Worker, StartError> {
        let memory_bytes = self.memory_bytes;
        let mut starting = Starting { worker: Some(self.worker), memory_bytes, log };
        let frame = load_frame(load);
        let mut written = 0;
        let channel = &mut starting.worker().channel;
        // A write that fails means that the process has ended; reading says how.
        let _ = channel.write([&frame, &[], &[], &[]], &mut written).await;
        match starting.frame().await? {
            WorkerFrame::Loaded => Ok(starting.done()),
            WorkerFrame::LoadError(failure) => Err(StartError::Load(failure)),
            other => Err(unexpected(&other)),
        }
    }
}

/// A worker on its way: killed if it is dropped before it is there.
struct Starting {
    worker: Option<Worker>,
    /// Its limit.
    memory_bytes: u64,
    log: Arc<FunctionLog>,
}

impl Starting {
    fn worker(&mut self) -> &mut Worker {
        self.worker.as_mut().expect("it is taken by done() only, which consumes self")
    }

    fn done(mut self) -> Worker {
        self.worker.take().expect("it is taken here only, which consumes self")
    }

    async fn frame(&mut self) -> Result<WorkerFrame, StartError> {
        match self.worker().channel.frame().await {
            Ok(frame) => Ok(frame),
            Err(ChannelError::Frame(error)) => Err(StartError::Protocol(error)),
            Err(ChannelError::Closed) => {
                let shared = Arc::clone(&self.worker().shared);
                match tokio::time::timeout(EXIT_WAIT, shared.process.wait()).await {
                    Ok(exit) => {
                        shared.tap.take_rest();
                        let how = how(exit, self.memory_bytes);
                        Err(StartError::Exited { how, said: last_errors(&self.log) })
                    }
                    Err(_) => Err(StartError::HungUp),
                }
            }
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(worker) = &self.worker {
            worker.kill();
        }
    }
}

fn unexpected(frame: &WorkerFrame) -> StartError {
    StartError::Unexpected(match frame {
        WorkerFrame::Hello(_) => "hello",
        WorkerFrame::Loaded => "loaded",
        WorkerFrame::LoadError(_) => "load error",
        WorkerFrame::Result { .. } => "result",
        WorkerFrame::Error { .. } => "error",
    })
}
