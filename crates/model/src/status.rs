//! The status that clients see, and conditions beside it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `status` on the wire, in v0.1.22's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Phase {
    Initialized,
    Creating,
    Ready,
    Updating,
    Error,
    Deleting,
    Deleted,
}

impl Phase {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initialized => "INITIALIZED",
            Self::Creating => "CREATING",
            Self::Ready => "READY",
            Self::Updating => "UPDATING",
            Self::Error => "ERROR",
            Self::Deleting => "DELETING",
            Self::Deleted => "DELETED",
        }
    }

    /// Nothing more will happen until somebody acts.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Ready | Self::Error | Self::Deleted)
    }
}

/// Something worth knowing about an object that `status` has no word for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    /// For people: the broker's words where there are any.
    pub message: String,
    pub since: Timestamp,
}

/// The closed list of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionKind {
    /// The last update failed; the instance is as it was before.
    UpdateFailed,
    /// The broker refused to delete.
    DeleteFailed,
    /// The catalogue in use is older than it should be, because the broker does not answer.
    CatalogStale,
    /// An attempt is being undone at the broker.
    CleaningUp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_on_the_wire_is_the_word_that_serde_writes() {
        use Phase::*;
        for phase in [Initialized, Creating, Ready, Updating, Error, Deleting, Deleted] {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
        }
    }
}
