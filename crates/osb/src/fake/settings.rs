//! How the fake broker behaves while all goes well, and how its work ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::backing::Backing;
use crate::broker::Authentication;
use crate::types::{ApiVersion, BindingMetadata, Catalog, Endpoint, JsonObject};

/// Everything that can be set. A change concerns the requests that come after it.
#[derive(Debug, Clone)]
pub struct Settings {
    pub authentication: Authentication,
    /// The versions that are accepted; `None` is any 2.x (OSB-007).
    pub versions: Option<Vec<ApiVersion>>,
    pub catalog: Catalog,
    /// Sent with the catalogue; a request that already has it gets 304 (OSB-050).
    pub etag: Option<String>,
    pub provision: Work,
    pub update: Work,
    pub deprovision: Work,
    pub bind: Work,
    pub unbind: Work,
    /// A DELETE during the creation stops it, instead of a `ConcurrencyError` (OSB-184).
    pub delete_halts_creation: bool,
    /// One change at a time for an instance and all of its bindings (OSB-159, OSB-192).
    pub strictly_serial: bool,
    /// A binding needs an `app_guid` (OSB-151).
    pub requires_app: bool,
    /// Credentials are in one answer only, also if that answer gets lost (OSB-123).
    pub credentials_once: bool,
    /// Instead of credentials made of the binding's id.
    pub credentials: Option<JsonObject>,
    pub endpoints: Vec<Endpoint>,
    pub binding_metadata: Option<BindingMetadata>,
    /// The dashboard of every instance; `{instance}` stands for its id.
    pub dashboard_url: Option<String>,
    /// The value of `Retry-After` in every 202 and in every answer to a poll, good or bad (OSB-103).
    pub retry_after: Option<String>,
    /// What work that lasts some time goes by.
    pub time: Time,
    /// What is really made and removed; credentials are then its.
    pub backing: Option<Arc<dyn Backing>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            authentication: Authentication::None,
            versions: None,
            catalog: super::catalog(),
            etag: None,
            provision: Work::default(),
            update: Work::default(),
            deprovision: Work::default(),
            bind: Work::default(),
            unbind: Work::default(),
            delete_halts_creation: false,
            strictly_serial: false,
            requires_app: false,
            credentials_once: false,
            credentials: None,
            endpoints: Vec::new(),
            binding_metadata: None,
            dashboard_url: Some("https://dashboard.example/{instance}".to_owned()),
            retry_after: None,
            time: Time::default(),
            backing: None,
        }
    }
}

/// What time it is for the broker. It stands still unless a test gives it a clock.
#[derive(Clone)]
pub struct Time(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Time {
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Time {
    fn default() -> Self {
        Self::new(|| Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Time").field(&self.now()).finish()
    }
}

/// How one kind of work is done.
#[derive(Debug, Clone, Default)]
pub struct Work {
    pub pace: Pace,
    pub end: End,
    /// Descriptions of successive polls, the last of which stays; of work that lasts some time, of its equal parts.
    pub progress: Vec<String>,
    pub operation: OperationName,
}

impl Work {
    /// Asynchronous, in progress for this many polls.
    pub fn polls(polls: u32) -> Self {
        Self { pace: Pace::Polls(polls), ..Self::default() }
    }

    /// Asynchronous, in progress until [`FakeBroker::release`](super::FakeBroker::release).
    pub fn held() -> Self {
        Self { pace: Pace::UntilReleased, ..Self::default() }
    }

    /// With another end.
    pub fn ending(self, end: End) -> Self {
        Self { end, ..self }
    }
}

/// How long work takes. Anything but `AtOnce` is `AsyncRequired` to a platform that cannot wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    #[default]
    AtOnce,
    /// This many polls answer "in progress".
    Polls(u32),
    UntilReleased,
    /// So long, by [`Settings::time`].
    Lasting(Duration),
}

/// How work ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Succeed,
    /// `failed`, or 500 if it was to be done at once.
    Fail {
        description: String,
        instance_usable: Option<bool>,
        update_repeatable: Option<bool>,
        /// What a failed creation has begun stays until it is deleted; else it cleans up itself.
        remains: bool,
    },
}

impl End {
    /// A failure that leaves something behind, and says nothing else.
    pub fn fail(description: impl Into<String>) -> Self {
        Self::Fail {
            description: description.into(),
            instance_usable: None,
            update_repeatable: None,
            remains: true,
        }
    }
}

/// What a 202 gives as `operation`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OperationName {
    /// One of its own for every operation.
    #[default]
    Own,
    /// None (OSB-101).
    Absent,
    /// One of its own that begins with this text.
    Starting(String),
}
