//! What instances, bindings and orphans have in common: a request to a broker that is in flight, retries of it, and
//! what the broker last said.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A request that was decided on. It is saved before it is sent, with every id that it uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    pub verb: Verb,
    /// Identifies this operation: an answer to another one is dropped.
    pub id: Uuid,
    /// The object's generation when it was decided.
    pub generation: u64,
    pub begun: Timestamp,
    /// Sealed version that holds the exact body, for verbs that have one (decision 21).
    pub body: Option<u64>,
    /// The instance's or binding's id at the broker.
    pub target: Uuid,
    /// Set once the broker has accepted it and works on it by itself.
    pub accepted: Option<Accepted>,
}

/// A request that was sent again because nobody saw the answer to the first. The broker may still carry out the first:
/// after it has answered the second, and even after it has removed what came of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resent {
    /// The instance's or binding's id at the broker.
    pub target: Uuid,
    /// When the second was answered.
    pub at: Timestamp,
}

/// An operation that the broker works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The broker's name for the operation, sent back at each poll.
    pub operation: Option<String>,
    pub since: Timestamp,
    /// When the operation counts as failed.
    pub deadline: Timestamp,
    pub poll_at: Timestamp,
    /// Polls in a row that were answered with 404.
    pub not_found: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Provision,
    Deprovision,
    Bind,
    /// Reading the credentials of a binding that was made asynchronously.
    Fetch,
    Unbind,
}

impl Verb {
    /// The word in `lastOperation.type`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Provision => "create",
            Self::Deprovision => "delete",
            Self::Bind | Self::Fetch => "bind",
            Self::Unbind => "unbind",
        }
    }

    /// It takes something away, and is tried for ever.
    pub const fn is_removal(self) -> bool {
        matches!(self, Self::Deprovision | Self::Unbind)
    }
}

/// Tries that failed in a row, kept where they survive a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    pub tries: u32,
    pub not_before: Option<Timestamp>,
    /// In the broker's words, or what kept us from reaching it.
    pub last_error: Option<String>,
}

/// The end of the road for one generation: nothing happens until somebody changes or repeats the wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub generation: u64,
    pub message: String,
}

/// What is known to exist at the broker under the id of the present attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    #[default]
    Absent,
    Present,
    /// Something may be there. It is treated as there when it comes to removing.
    Unknown,
}

/// What the broker does or did last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastOperation {
    pub verb: Verb,
    pub state: OperationState,
    /// The broker's own words.
    pub description: String,
    pub since: Timestamp,
    /// From sending the request until it was seen to be over; absent before, and in what older versions have stored.
    #[serde(default)]
    pub took_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    InProgress,
    Succeeded,
    Failed,
}

impl OperationState {
    pub const fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}
