//! Why a call did not reach its function, and why a revision was not replaced.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::frame::FrameError;
use crate::spawn::SpawnError;
use crate::worker::StartError;

/// The function has seen nothing of a call that ends in one of these.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    #[error("the function has no workers here")]
    NotFound,
    /// The pools were closed while it waited.
    #[error("the server stopped before the call began")]
    Closed,
    /// HTTP 503.
    #[error("{waiting} calls of the function are waiting already")]
    Overloaded { waiting: usize },
    /// HTTP 503.
    #[error("no worker became free within {} s", .after.as_secs())]
    WaitedTooLong { after: Duration },
    /// Shared by all calls that waited for this start.
    #[error("the function cannot be started: {}", .error.reason())]
    StartFailed { error: Arc<StartError> },
    /// HTTP 503 with Retry-After.
    #[error("the function failed {failures} times in a row and is started again in {} s: {reason}", .retry_after.as_secs().max(1))]
    BackingOff { failures: u32, reason: String, retry_after: Duration },
    /// The context has to be made again with the binding's new credentials.
    #[error("the call carries old credentials of binding {binding}")]
    Superseded { binding: Uuid },
    #[error("the call was taken back")]
    TakenBack,
    #[error("{0}")]
    TooLarge(FrameError),
    #[error("a service of the call cannot be made reachable: {error}")]
    Unreachable { error: Arc<SpawnError> },
    /// Its idle workers write to the server's channel as fast as they are started.
    #[error("the function's workers end or break the protocol before they are called")]
    Unstable,
}

/// Why the old revision stays.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplaceError {
    #[error("the new revision cannot be started: {}", .error.reason())]
    StartFailed { error: Arc<StartError> },
    #[error("the function was removed or changed again meanwhile")]
    Overtaken,
}
