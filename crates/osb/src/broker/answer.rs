//! What a broker answers when all is well.

use std::time::Duration;

use crate::types::{BindAnswer, LastOperation, ProvisionAnswer, UpdateAnswer};

/// The answer to a provision request.
#[derive(Debug, Clone, PartialEq)]
pub enum Provisioned {
    /// 201: it exists now.
    Created(ProvisionAnswer),
    /// 200: it existed already, with equal attributes.
    Exists(ProvisionAnswer),
    /// 202: begun; ask for the operation. Only if the request accepts incomplete answers.
    Accepted(ProvisionAnswer),
}

/// The answer to an update.
#[derive(Debug, Clone, PartialEq)]
pub enum Updated {
    /// 200: applied, or nothing to do.
    Done(UpdateAnswer),
    /// 202: begun.
    Accepted(UpdateAnswer),
}

/// The answer to a bind request.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// 201: it exists now.
    Created(BindAnswer),
    /// 200: it existed already, with equal attributes.
    Exists(BindAnswer),
    /// 202: begun; without credentials, which are fetched when it has succeeded (OSB-110).
    Accepted { operation: Option<String> },
}

/// The answer to a deprovision or unbind request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// 200: it is gone.
    Done,
    /// 202: begun.
    Accepted { operation: Option<String> },
}

/// The answer to a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub last: LastOperation,
    /// The least time to the next poll (OSB-103), sent in whole seconds, rounded up.
    pub retry_after: Option<Duration>,
}

impl From<LastOperation> for Progress {
    fn from(last: LastOperation) -> Self {
        Self { last, retry_after: None }
    }
}
