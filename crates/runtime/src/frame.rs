//! The frames that server and worker exchange over descriptor 3 (decision 34). Pure: bytes in, values out.
//!
//! A frame is a `u32` (big-endian, how many bytes follow it), a `u8` type, a `u64` call id and a body.
//! Nothing here reads or writes a descriptor, and no payload is parsed.

mod decode;
mod encode;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use decode::{FrameError, decode};
pub use encode::{CallHead, load_frame};

/// The version that a worker's hello must name.
pub const PROTOCOL_VERSION: u32 = 1;
/// Upper bound of a call's payload and of a result, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 10 << 20;
/// Upper bound of a call's JSON header (id, deadline, timeout, context), in bytes.
pub const MAX_HEADER_BYTES: usize = 1 << 20;
/// Upper bound of everything else that a worker sends (hello, loaded, errors), in bytes.
pub const MAX_NOTE_BYTES: usize = 256 << 10;

/// Type and call id: what the length counts besides the body.
const FIXED_BYTES: usize = 9;
/// Length, type and call id.
const HEAD_BYTES: usize = 13;

const LOAD: u8 = 1;
const CALL: u8 = 2;
const HELLO: u8 = 16;
const LOADED: u8 = 17;
const LOAD_ERROR: u8 = 18;
const RESULT: u8 = 19;
const ERROR: u8 = 20;

/// What a worker has to import, as it sees the paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// As the language writes it (contract 4.5); empty for the default of a single file.
    pub handler: String,
    /// The directory of the function's source.
    pub code: String,
    /// Directories of dependency layers, searched after the code, in this order.
    pub dependencies: Vec<String>,
}

/// A frame from a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerFrame {
    /// The interpreter runs and waits for a load.
    Hello(Hello),
    /// The handler is imported and has the right shape.
    Loaded,
    /// It is not, and why.
    LoadError(Failure),
    /// The function returned; the JSON text as the worker wrote it, not yet checked.
    Result { call: u64, payload: Bytes },
    /// The function failed.
    Error { call: u64, failure: Failure },
}

/// A worker's first frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    /// `python3`
    pub language: String,
    /// The interpreter's own version, `3.11.2`.
    pub version: String,
}

/// What went wrong in a function, in the contract's form (4.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    #[serde(rename = "type")]
    pub kind: FailureKind,
    pub message: String,
    /// The lines of the function's own frames; empty when the failure is not an exception.
    #[serde(default)]
    pub stacktrace: Vec<String>,
}

/// The two kinds of failure that a function can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    InputError,
    FunctionError,
}

impl Failure {
    /// A FunctionError of the platform's own words.
    #[must_use]
    pub fn function(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::FunctionError, message: message.into(), stacktrace: Vec::new() }
    }
}

#[cfg(test)]
mod tests;
