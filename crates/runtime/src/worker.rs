//! One worker: a language process that has one function loaded and answers one call at a time.
//!
//! It decides nothing about how many there are or which gets a call: that is [`crate::pool`].

mod call;
mod channel;
mod start;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::frame::Failure;
use crate::host::Language;
use crate::logs::{LogTap, Logs};
use crate::spawn::{Confinement, Exit, Process};
use channel::Channel;

pub use call::BeginError;
pub use start::{Interpreter, Start, StartError};

/// The workers' side of the frames, as texts that their interpreters take as an argument.
const PYTHON3: &str = include_str!("../../../languages/python3/worker.py");
const NODEJS: &str = include_str!("../../../languages/nodejs/worker.js");

/// The argv of a worker, with the interpreter as seen inside.
///
/// Python is isolated and without `site`, which would double the start; no bytecode is written,
/// because layers are read-only.
#[must_use]
pub fn argv(language: Language, interpreter: &str) -> Vec<String> {
    let words: &[&str] = match language {
        Language::Python3 => &[interpreter, "-I", "-S", "-B", "-X", "utf8", "-c", PYTHON3],
        Language::NodeJs => &[interpreter, "-e", NODEJS],
    };
    words.iter().copied().map(str::to_owned).collect()
}

/// Clock and randomness, handed in so that tests own them.
#[derive(Debug, Clone, Copy)]
pub struct Ambient {
    /// Unix time in milliseconds.
    pub unix_ms: fn() -> u64,
    /// 64 unguessable bits: call ids are made of them.
    pub random: fn() -> u64,
}

/// One call, ready to be sent.
#[derive(Clone)]
pub struct CallInput {
    /// The run's id.
    pub run: Uuid,
    /// How long the function may take.
    pub timeout: Duration,
    /// A JSON object, at most [`crate::frame::MAX_HEADER_BYTES`]. It is not parsed here.
    pub context: Bytes,
    /// One JSON value, at most [`crate::frame::MAX_PAYLOAD_BYTES`]. It is not parsed here.
    pub payload: Bytes,
}

impl fmt::Debug for CallInput {
    /// Without what it carries: credentials and people's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallInput")
            .field("run", &self.run)
            .field("timeout", &self.timeout)
            .field("context_bytes", &self.context.len())
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}

/// How a call ended.
#[derive(Debug)]
pub enum Outcome {
    /// The function returned this JSON text, which was checked.
    Returned(Bytes),
    /// The function raised, or returned what is no JSON.
    Failed(Failure),
    /// It was killed at its deadline.
    TimedOut,
    /// Its process ended during the call.
    Died(Exit),
    /// It closed the channel and went on; it was killed.
    HungUp,
    /// It sent what no worker may send; it was killed.
    Broke { reason: String },
}

/// A call's outcome and what was printed.
#[derive(Debug)]
pub struct Finished {
    pub outcome: Outcome,
    pub logs: Logs,
}

impl Outcome {
    /// Whether the worker can take another call.
    #[must_use]
    pub fn leaves_worker(&self) -> bool {
        matches!(self, Self::Returned(_) | Self::Failed(_))
    }

    /// The failure that a caller reads; the payload if there is none. `memory_bytes` is the
    /// worker's limit.
    pub fn into_result(self, memory_bytes: u64) -> Result<Bytes, Failure> {
        let message = match self {
            Self::Returned(payload) => return Ok(payload),
            Self::Failed(failure) => return Err(failure),
            Self::TimedOut => "Function execution exceeded the timeout".to_owned(),
            Self::Died(exit) => {
                format!("the function's process {} during the call", how(exit, memory_bytes))
            }
            Self::HungUp => {
                "the function closed its worker's connection (descriptor 3) during the call"
                    .to_owned()
            }
            Self::Broke { reason } => format!("the function's worker broke the protocol: {reason}"),
        };
        Err(Failure::function(message))
    }
}

/// How a process ended, as a verb: `exited with status 3`.
pub(crate) fn how(exit: Exit, memory_bytes: u64) -> String {
    match exit {
        Exit::Code(code) => format!("exited with status {code}"),
        Exit::Signal(signal) => match signal_name(signal) {
            Some(name) => format!("was ended by signal {signal} ({name})"),
            None => format!("was ended by signal {signal}"),
        },
        Exit::Memory => format!("exceeded its memory limit of {} MiB", memory_bytes >> 20),
        Exit::Unknown => "ended".to_owned(),
    }
}

/// An error and its causes in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGABRT => "abort",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "arithmetic error",
        libc::SIGILL => "illegal instruction",
        libc::SIGKILL => "kill",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGSYS => "forbidden system call",
        libc::SIGTERM => "termination",
        libc::SIGXCPU => "processor time limit",
        _ => return None,
    })
}

/// A worker with its function loaded. Dropping it ends the process: at once during a call,
/// else by hanging up, so that exit handlers run, and by SIGKILL after the grace.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    channel: Channel,
    ambient: Ambient,
    /// The head of the call frame; kept for its memory.
    head: Vec<u8>,
    open: Option<Open>,
}

/// What the worker's own task needs as well.
#[derive(Debug)]
pub(crate) struct Shared {
    process: Process,
    tap: LogTap,
    ending: Notify,
    confinement: Confinement,
}

/// The call that a worker is at.
struct Open {
    call: u64,
    deadline: Instant,
    context: Bytes,
    payload: Bytes,
    /// Bytes of the frame that were written.
    written: usize,
    /// The result, while it is being checked.
    result: Option<Bytes>,
}

impl fmt::Debug for Open {
    /// Without what it carries: credentials and people's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("written", &self.written).finish_non_exhaustive()
    }
}

impl Worker {
    /// The worker's id, as in its spec.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.shared.process.id()
    }

    /// How the process is held.
    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        &self.shared.confinement
    }

    /// The process, for memory figures and added endpoints.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.shared.process
    }

    /// Whether a call is under way, so that [`Worker::finish`] has something to wait for.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Ends the process now.
    pub fn kill(&self) {
        self.shared.process.kill();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.open.is_some() {
            self.shared.process.kill();
        }
        self.shared.ending.notify_one();
    }
}
