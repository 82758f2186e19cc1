//! What an answer means for the platform: closed sets, one for each family of calls.

use std::time::Duration;

use serde_json::Value;

use crate::types::ApiVersion;
pub use crate::types::ErrorCode as RefusalCode;

/// The outcome of a call that changes something: tables A0.1 to A0.4.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<A> {
    /// 200 or 201 with a valid body.
    Done(A),
    /// 202: begun. Poll with `operation`, not before `retry_after` has passed.
    Accepted { answer: A, operation: Option<String>, retry_after: Option<Duration> },
    /// 410 in answer to a DELETE: it did not exist, which is what was wanted.
    Gone,
    /// 3xx or 4xx: understood and refused; nothing was changed (OSB-018).
    Rejected(Refusal),
    /// 422 `ConcurrencyError`, 429, 408: nothing was changed; send the same again later.
    Busy { refusal: Refusal, retry_after: Option<Duration> },
    /// 401: the broker does not know our credentials; nothing was changed.
    Unauthorized(Refusal),
    /// Something may exist now, or may have been changed: 5xx, no answer after the request was
    /// written, a malformed 201 or 202, another 2xx. For PUT this asks for orphan mitigation.
    Unclear(Doubt),
    /// 200 with a malformed body: it is done, but what was answered is lost. Send the same again.
    Garbled(String),
    /// The request has not reached the broker, so that nothing can exist: name, connection or TLS
    /// handshake failed, or the address policy refused.
    NotSent(String),
}

/// A refusal in the broker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: Option<RefusalCode>,
    /// For people: at most 1,000 characters, no control characters, never a body as it came.
    pub description: String,
    /// Of a failed update: true unless the broker says otherwise.
    pub instance_usable: bool,
    /// Of a failed update: true unless the broker says otherwise.
    pub update_repeatable: bool,
}

/// Why it is unknown what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// `None` if no answer came.
    pub status: Option<u16>,
    /// For people, as in [`Refusal`].
    pub description: String,
    pub instance_usable: bool,
    pub update_repeatable: bool,
    pub retry_after: Option<Duration>,
}

/// The outcome of a poll: table A0.5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    InProgress {
        description: Option<String>,
        retry_after: Option<Duration>,
    },
    Succeeded {
        description: Option<String>,
    },
    Failed {
        description: Option<String>,
        instance_usable: bool,
        update_repeatable: bool,
    },
    /// 410: the end of a delete; otherwise go on polling.
    Gone,
    /// 400: the broker does not understand the question; end the operation as failed.
    BadRequest(Refusal),
    /// 404: go on polling; of a delete, send DELETE again after several.
    NotFound,
    /// Anything else: go on polling. The text says why.
    Unknown(String),
}

/// The outcome of fetching an instance or binding: table A0.6.
#[derive(Debug, Clone, PartialEq)]
pub enum Fetched<A> {
    Found(A),
    /// 404: not there, or not there yet.
    Absent,
    /// 422 `ConcurrencyError`: try later.
    Busy,
    /// Anything else; keep what is recorded.
    Failed(String),
}

/// The outcome of fetching the catalogue: table A0.7.
#[derive(Debug, Clone, PartialEq)]
pub enum CatalogFetched {
    /// 200 with JSON; whether it is a catalogue is for [`catalog::validate`](crate::catalog).
    Fetched {
        document: Value,
        /// The version that the broker accepted (OSB-007).
        api_version: ApiVersion,
        /// For the next conditional request (OSB-050).
        etag: Option<String>,
    },
    /// 304: as at the time of the given tag.
    Unchanged { api_version: ApiVersion },
    /// 401
    Unauthorized(Refusal),
    /// 412 for every version from 2.17 down to 2.11.
    NoCommonVersion(Refusal),
    /// Anything else; keep the last good catalogue.
    Failed(String),
}
