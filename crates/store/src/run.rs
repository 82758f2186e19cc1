//! Run records: a log of calls, not objects (decision 15). What a record says is its writer's business.

use dispatch_model::{Id, organization::Organization};
use jiff::Timestamp;
use uuid::Uuid;

/// Roughly what a row takes besides its texts, indexes included.
pub(crate) const ROW_BYTES: usize = 256;

/// One run of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// A UUIDv7, so that the order of ids is the order of time.
    pub id: Uuid,
    pub organization: Id<Organization>,
    pub function: Uuid,
    pub state: RunState,
    /// To the microsecond.
    pub created: Timestamp,
    pub finished: Option<Timestamp>,
    /// JSON.
    pub body: String,
}

/// A run that is not done, without its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfinishedRun {
    pub id: Uuid,
    pub organization: Id<Organization>,
    pub function: Uuid,
    pub state: RunState,
    /// Of its body.
    pub bytes: u64,
}

/// How far a run is. Whether it ended well is in its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    Waiting,
    Executing,
    Done,
}

/// Which runs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFilter {
    pub function: Option<Uuid>,
    /// Created at this time or later.
    pub since: Option<Timestamp>,
    /// In runs; 1 to [`RunFilter::LIMIT_MAX`], other values are taken as the nearest of these.
    pub limit: usize,
    /// Of the bodies of all but the first, together with it.
    pub bytes: usize,
    /// The last id of the page before.
    pub after: Option<Uuid>,
}

/// What a filter has let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPage {
    pub runs: Vec<RunRecord>,
    /// Whether more would have been, but for its bounds.
    pub more: bool,
}

impl RunFilter {
    pub const LIMIT_MAX: usize = 1_000;
    pub const BYTES_MAX: usize = 16 << 20;

    pub(crate) fn rows(&self) -> i64 {
        self.limit.clamp(1, Self::LIMIT_MAX).try_into().unwrap_or(i64::MAX)
    }
}

impl Default for RunFilter {
    fn default() -> Self {
        Self {
            function: None,
            since: None,
            limit: Self::LIMIT_MAX,
            bytes: Self::BYTES_MAX,
            after: None,
        }
    }
}

impl RunRecord {
    /// What it takes in the store, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + ROW_BYTES
    }
}

impl RunState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Executing => "executing",
            Self::Done => "done",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Waiting, Self::Executing, Self::Done].into_iter().find(|s| s.as_str() == text)
    }
}
