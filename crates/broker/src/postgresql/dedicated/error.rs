//! What can go wrong with a cluster. The words of a failed creation are shown to its user.

use std::io;

use super::super::check::CheckError;
use super::super::error::PgError;
use crate::books::BooksError;
use crate::certificates::CertificateError;

/// Why something about a cluster cannot be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// Files and processes.
    #[error("could not {what}: {source}")]
    Io { what: &'static str, source: io::Error },
    /// Certificates.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// initdb.
    #[error("initdb failed: {said}")]
    Initdb { said: String },
    /// It did not come to an end.
    #[error("PostgreSQL took longer than {limit_ms} ms to {what}")]
    TooSlow { what: &'static str, limit_ms: u128 },
    /// Somebody else listens there.
    #[error("its port is in use by another program")]
    PortTaken,
    /// No port of the range is free.
    #[error("no port of {range} is free for another server")]
    NoPort { range: String },
    /// It ended while it was starting.
    #[error("PostgreSQL did not start: {log}")]
    DoesNotStart { log: String },
    /// It ended.
    #[error("PostgreSQL has ended")]
    Ended,
    /// Processes that nothing ends.
    #[error("{left} processes of PostgreSQL do not end")]
    Remains { left: usize },
    /// What the broker asked of it.
    #[error(transparent)]
    Postgres(#[from] PgError),
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Books(#[from] BooksError),
}

impl ClusterError {
    /// An error of the system, with what was tried.
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// Whether it stands for the end of the broker's process, in a test.
    pub(super) fn is_a_kill(&self) -> bool {
        matches!(
            self,
            Self::Postgres(PgError::Killed) | Self::Check(CheckError::Asking(PgError::Killed))
        )
    }
}

/// The end of what a program has said, of at most so many bytes.
pub(super) fn last(text: &str, most: usize) -> String {
    let text = text.trim();
    let from = text.ceil_char_boundary(text.len().saturating_sub(most));
    text.get(from..).unwrap_or_default().to_owned()
}
