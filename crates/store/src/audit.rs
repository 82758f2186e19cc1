//! The audit log: who did what, when and from where. Never a secret value.

use std::net::IpAddr;

use dispatch_model::{Id, Kind, organization::Organization};
use jiff::Timestamp;
use uuid::Uuid;

/// One user request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// To the microsecond.
    pub at: Timestamp,
    /// Who, as authenticated.
    pub actor: String,
    /// `None` for what concerns the whole platform.
    pub organization: Option<Id<Organization>>,
    /// As in the route table: `create`, `update`, `reveal`, …
    pub action: String,
    pub kind: Option<Kind>,
    pub name: Option<String>,
    pub id: Option<Uuid>,
    pub source: Option<IpAddr>,
    pub request_id: Uuid,
    /// What else is worth knowing; `Null` if nothing.
    pub details: serde_json::Value,
}

/// A row with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Grows with every row and is never used again.
    pub position: u64,
    pub row: AuditRow,
}

/// Which rows to read, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFilter {
    pub organization: Option<Id<Organization>>,
    pub request_id: Option<Uuid>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// The last position of the page before.
    pub after: Option<u64>,
    /// In rows; 1 to [`AuditFilter::LIMIT_MAX`], other values are taken as the nearest of these.
    pub limit: usize,
}

impl AuditFilter {
    pub const LIMIT_MAX: usize = 1_000;

    pub(crate) fn rows(&self) -> i64 {
        self.limit.clamp(1, Self::LIMIT_MAX).try_into().unwrap_or(i64::MAX)
    }
}

impl Default for AuditFilter {
    fn default() -> Self {
        Self {
            organization: None,
            request_id: None,
            since: None,
            after: None,
            limit: Self::LIMIT_MAX,
        }
    }
}
