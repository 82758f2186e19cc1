//! Asynchronous operations: the answers to DELETE and to `last_operation`.

use serde::{Deserialize, Serialize};

/// The body of the answer to a deprovision or unbind request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveAnswer {
    /// Only with 202; at most 10,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

/// The answer to `GET …/last_operation` (OSB-107).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastOperation {
    pub state: OperationState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// After a failed update or deprovision; absent means usable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_usable: Option<bool>,
    /// After a failed update; absent means that the same update may be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_repeatable: Option<bool>,
}

impl LastOperation {
    /// An operation in this state, without a description.
    pub fn new(state: OperationState) -> Self {
        Self { state, description: None, instance_usable: None, update_repeatable: None }
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OperationState {
    #[serde(rename = "in progress")]
    InProgress,
    #[serde(rename = "succeeded")]
    Succeeded,
    #[serde(rename = "failed")]
    Failed,
}
