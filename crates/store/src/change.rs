//! The change feed: what was made durable, in order. It says that something changed, never how:
//! whoever listens loads the object. Whoever falls behind scans again.

use dispatch_model::{Id, Kind, organization::Organization};
use uuid::Uuid;

/// One change of one object. All changes of one batch have its [`Receipt::seq`](crate::Receipt).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub seq: u64,
    pub kind: Kind,
    pub id: Uuid,
    pub organization: Id<Organization>,
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Created,
    /// Spec, tags or deletion mark.
    Spec,
    Status,
    Deleted,
}
