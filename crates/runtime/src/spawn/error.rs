//! Why a worker could not be started, or an endpoint not be added.

/// Each reads after "failed to start a worker: ".
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The spawner found the request outside its bounds or a path outside its roots.
    #[error("the spawn helper refused the request: {reason}")]
    Refused { reason: String },
    /// The spawner is gone; the server cannot start workers until it is restarted.
    #[error("the spawn helper is gone")]
    HelperGone,
    /// Too many workers live, or every uid of the range is taken.
    #[error("no room for another worker: {what}")]
    Exhausted { what: String },
    /// A step inside the sandbox failed.
    #[error("{step}")]
    Setup {
        step: String,
        #[source]
        source: std::io::Error,
    },
    /// A system call on this side failed.
    #[error("{what}")]
    Io {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// The worker ended before it could take the endpoint.
    #[error("the worker has ended")]
    Ended,
    /// The request took too long; the half-made worker is killed.
    #[error("the sandbox was not ready within {seconds} s")]
    Timeout { seconds: u64 },
}
