//! The port through which the gateway calls functions. The server implements it; how a function runs is unknown here.

use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::route::{Function, Organization};

/// Calls functions.
#[async_trait]
pub trait Invoke: Send + Sync {
    /// Runs one call to its end, or, if it is not blocking, until it is safely recorded.
    ///
    /// The gateway polls it to completion whatever the caller does: a caller that goes away does not drop it. It must
    /// bound its own time, and must not answer with what the caller may not read (see [`Invoked::Failed`]).
    async fn invoke(&self, invocation: Invocation) -> Invoked;
}

/// One call.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub organization: Organization,
    pub function: Function,
    /// Whether the caller waits for the output.
    pub blocking: bool,
    /// What the function sees of the request as `httpContext`; with credentials, so not for storing
    /// (see [`without_credentials`](crate::context::without_credentials)).
    pub http_context: Map<String, Value>,
    /// One JSON document, well-formed, at most [`CallLimits::body_bytes`](crate::CallLimits) long.
    pub input: Bytes,
    pub peer: Option<SocketAddr>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invoked {
    /// The function's output, one JSON document; `None` if it has none.
    Output(Option<Bytes>),
    /// Not waited for, and recorded.
    Accepted,
    /// The run ended with an error. For an input or function error `message` is shown to the caller.
    Failed { kind: FailureKind, message: String },
    /// The function was stopped at its time limit.
    TimedOut,
    /// Too many calls wait already.
    Overloaded { retry_after: Duration },
    /// There is no such function, or none that is ready.
    NotFound,
    /// Calls are impossible for now, whatever the function.
    Unavailable,
}

/// The error model of contract §4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    InputError,
    FunctionError,
    SystemError,
}

impl FailureKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InputError => "InputError",
            Self::FunctionError => "FunctionError",
            Self::SystemError => "SystemError",
        }
    }
}
