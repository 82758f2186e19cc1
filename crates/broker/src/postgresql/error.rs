//! What can go wrong between the broker and PostgreSQL.
//!
//! A statement is named by what it is for; its text is never part of an error, because it may hold
//! a verifier.

use std::time::Duration;

use tokio_postgres::error::SqlState;

/// A failure of one step.
#[derive(Debug, thiserror::Error)]
pub enum PgError {
    /// No connection: nobody listens, no route, no answer in time, or TLS fails.
    #[error("PostgreSQL at {address} cannot be reached: {reason}")]
    Unreachable { address: String, reason: String },
    /// PostgreSQL refuses the administrator, or is starting or stopping.
    #[error("PostgreSQL at {address} refuses the connection: {message} (SQLSTATE {sqlstate})")]
    Refused { address: String, sqlstate: String, message: String },
    /// A connection broke, or PostgreSQL was stopped, while a step was under way.
    #[error("the connection to PostgreSQL was lost: could not {step}")]
    Lost { step: &'static str },
    /// A step took longer than allowed.
    #[error("PostgreSQL took longer than {limit_ms} ms to {step}")]
    TimedOut { step: &'static str, limit_ms: u128 },
    /// A lock that another session holds, or all connections being in use.
    #[error("PostgreSQL is busy: could not {step}: {message}")]
    Busy { step: &'static str, message: String },
    /// All of the broker's own connections are in use.
    #[error("all {connections} administrative connections were in use for {waited_ms} ms")]
    Exhausted { connections: usize, waited_ms: u128 },
    /// PostgreSQL refused a statement.
    #[error("PostgreSQL refused to {step}: {message} (SQLSTATE {sqlstate})")]
    Statement { step: &'static str, sqlstate: String, message: String },
    /// Sessions that do not end.
    #[error("sessions did not end within {waited_ms} ms; {left} are left")]
    Sessions { left: usize, waited_ms: u128 },
    /// An answer of another shape than the statement's.
    #[error("PostgreSQL gave no understandable answer when asked to {step}")]
    Answer { step: &'static str },
    /// The process was "killed" here by a test.
    #[error("killed by a test")]
    Killed,
}

impl PgError {
    pub(super) fn connecting(address: &str, error: &tokio_postgres::Error) -> Self {
        let address = address.to_owned();
        match error.as_db_error() {
            Some(db) => Self::Refused {
                address,
                sqlstate: db.code().code().to_owned(),
                message: db.message().to_owned(),
            },
            None => Self::Unreachable { address, reason: with_causes(error) },
        }
    }

    pub(super) fn statement(
        step: &'static str,
        limit: Duration,
        error: &tokio_postgres::Error,
    ) -> Self {
        let Some(db) = error.as_db_error() else {
            return Self::Lost { step };
        };
        let message = db.message().to_owned();
        match db.code() {
            &SqlState::LOCK_NOT_AVAILABLE
            | &SqlState::T_R_DEADLOCK_DETECTED
            | &SqlState::TOO_MANY_CONNECTIONS
            | &SqlState::OBJECT_IN_USE => Self::Busy { step, message },
            &SqlState::QUERY_CANCELED => Self::TimedOut { step, limit_ms: limit.as_millis() },
            &SqlState::ADMIN_SHUTDOWN
            | &SqlState::CRASH_SHUTDOWN
            | &SqlState::CANNOT_CONNECT_NOW => Self::Lost { step },
            code => Self::Statement { step, sqlstate: code.code().to_owned(), message },
        }
    }

    /// Whether a new connection may work where this one did not.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether PostgreSQL said so with this code.
    pub(super) fn has_code(&self, code: &SqlState) -> bool {
        matches!(self, Self::Statement { sqlstate, .. } if sqlstate == code.code())
    }
}

/// An error with its causes, as one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
