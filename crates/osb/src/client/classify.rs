//! What an answer means: the tables A0.1 to A0.7 of the platform obligations, as pure functions.
//!
//! Nothing is sent here, and no clock is read. A rule that is not in the tables is said where it
//! is applied.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use super::outcome::{Doubt, Fetched, Outcome, Polled, Refusal};
use super::words;
use crate::json;
use crate::types::{
    ApiVersion, BindingDocument, ErrorCode, InstanceDocument, ProvisionAnswer, UpdateAnswer,
};

mod body;
#[cfg(test)]
mod tests;

/// The longest `operation` that is valid, in characters (OSB-088).
pub const MAX_OPERATION_CHARS: usize = 10_000;

/// How an attempt to call a broker ended.
#[derive(Debug, Clone)]
pub enum Exchange {
    Answered(Answer),
    /// The request was written at least in part, and no answer came.
    Lost(String),
    /// The request was not written.
    NotSent(String),
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// `Err` if it broke off, did not end in time, or is too long: a fragment, after "body: ".
    pub body: Result<Bytes, String>,
}

impl Exchange {
    pub(super) fn summary(&self) -> String {
        match self {
            Self::Answered(answer) => answer.status.to_string(),
            Self::Lost(reason) => format!("lost: {reason}"),
            Self::NotSent(reason) => format!("not sent: {reason}"),
        }
    }
}

/// How an answer is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The version that was spoken.
    pub version: ApiVersion,
    /// The deepest JSON that is accepted.
    pub json_depth: usize,
}

/// Table A0.1: the answer to a provision request.
pub fn provision(exchange: Exchange, reading: Reading) -> Outcome<ProvisionAnswer> {
    outcome(exchange, reading, Verb::Create, body::provision)
}

/// Table A0.2: the answer to a bind request, for a service that `requires` these permissions.
pub fn bind(exchange: Exchange, reading: Reading, requires: &[String]) -> Outcome<BindingDocument> {
    outcome(exchange, reading, Verb::Create, |status, value| match status {
        202 => Ok(BindingDocument::default()),
        _ => body::binding(value, requires),
    })
}

/// Table A0.3: the answer to an update.
pub fn update(exchange: Exchange, reading: Reading) -> Outcome<UpdateAnswer> {
    outcome(exchange, reading, Verb::Update, body::update)
}

/// Table A0.4: the answer to a deprovision or unbind request.
pub fn remove(exchange: Exchange, reading: Reading) -> Outcome<()> {
    outcome(exchange, reading, Verb::Delete, |_, _| Ok(()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Update,
    Delete,
}

fn outcome<A>(
    exchange: Exchange,
    reading: Reading,
    verb: Verb,
    read: impl FnOnce(u16, Value) -> Result<A, String>,
) -> Outcome<A> {
    let answer = match exchange {
        Exchange::Answered(answer) => answer,
        Exchange::NotSent(reason) => return Outcome::NotSent(reason),
        Exchange::Lost(reason) => return Outcome::Unclear(Doubt::unanswered(reason)),
    };
    match answer.status {
        200 => match valid(&answer, reading, read) {
            Ok((done, _)) => Outcome::Done(done),
            Err(reason) => {
                Outcome::Garbled(format!("HTTP 200, and its body is of no use: {reason}"))
            }
        },
        201 if verb == Verb::Create => match valid(&answer, reading, read) {
            Ok((done, _)) => Outcome::Done(done),
            Err(reason) => malformed(&answer, &reason),
        },
        202 => match valid(&answer, reading, read) {
            Ok((started, operation)) => Outcome::Accepted {
                answer: started,
                operation,
                retry_after: words::retry_after(&answer.headers),
            },
            Err(reason) => malformed(&answer, &reason),
        },
        status => refused(&answer, status, reading, verb),
    }
}

/// Everything that is not one of the good statuses.
fn refused<A>(answer: &Answer, status: u16, reading: Reading, verb: Verb) -> Outcome<A> {
    let refusal = words::refusal(answer);
    let retry_after = words::retry_after(&answer.headers);
    // Before 2.14 a 408 left open whether the request was carried out.
    let open_408 = verb == Verb::Create && reading.version < ApiVersion::v2(14);
    match status {
        200..=299 => malformed(answer, "this status has no meaning here"),
        // In no table. Redirects are not followed (OSB-015), so that nothing was changed.
        300..=399 => Outcome::Rejected(Refusal {
            description: format!("HTTP {status}: redirects of a broker are not followed"),
            ..refusal
        }),
        401 => Outcome::Unauthorized(refusal),
        408 if !open_408 => Outcome::Busy { refusal, retry_after },
        408 => Outcome::Unclear(Doubt::of(refusal, retry_after)),
        410 if verb == Verb::Delete => Outcome::Gone,
        422 if refusal.code == Some(ErrorCode::ConcurrencyError) => {
            Outcome::Busy { refusal, retry_after }
        }
        // "Other 4xx" by the table; everybody means "later" by it.
        429 => Outcome::Busy { refusal, retry_after },
        400..=499 => Outcome::Rejected(refusal),
        _ => Outcome::Unclear(Doubt::of(refusal, retry_after)),
    }
}

/// A good answer's content and operation.
fn valid<A>(
    answer: &Answer,
    reading: Reading,
    read: impl FnOnce(u16, Value) -> Result<A, String>,
) -> Result<(A, Option<String>), String> {
    let mut value = object(answer, reading.json_depth)?;
    let operation = value.as_object_mut().and_then(|object| object.remove("operation"));
    let operation = match answer.status {
        202 => body::operation(operation)?,
        // It has no meaning without 202, and so cannot be wrong.
        _ => None,
    };
    Ok((read(answer.status, value)?, operation))
}

fn object(answer: &Answer, depth: usize) -> Result<Value, String> {
    let bytes = answer.body.as_ref().map_err(Clone::clone)?;
    match json::read(bytes, depth)? {
        Value::Object(object) => Ok(Value::Object(object)),
        other => Err(format!("it is {} instead of an object", json::kind(&other))),
    }
}

fn malformed<A>(answer: &Answer, reason: &str) -> Outcome<A> {
    let seen = format!("HTTP {} with {}", answer.status, words::what(answer));
    // Why it could not be read is said already.
    let description = if answer.body.is_err() { seen } else { format!("{seen}: {reason}") };
    Outcome::Unclear(Doubt { status: Some(answer.status), ..Doubt::unanswered(description) })
}

impl Doubt {
    fn unanswered(description: String) -> Self {
        Self {
            status: None,
            description,
            instance_usable: true,
            update_repeatable: true,
            retry_after: None,
        }
    }

    fn of(refusal: Refusal, retry_after: Option<Duration>) -> Self {
        Self {
            status: Some(refusal.status),
            description: refusal.description,
            instance_usable: refusal.instance_usable,
            update_repeatable: refusal.update_repeatable,
            retry_after,
        }
    }
}

/// Table A0.5: the answer to a poll, of an instance or a binding.
pub fn polled(exchange: Exchange, reading: Reading) -> Polled {
    let answer = match exchange {
        Exchange::Answered(answer) => answer,
        Exchange::NotSent(reason) | Exchange::Lost(reason) => return Polled::Unknown(reason),
    };
    match answer.status {
        200 => match object(&answer, reading.json_depth) {
            Ok(value) => body::state(&value, words::retry_after(&answer.headers)),
            Err(reason) => {
                Polled::Unknown(format!("HTTP 200, and its body is of no use: {reason}"))
            }
        },
        400 => Polled::BadRequest(words::refusal(&answer)),
        404 => Polled::NotFound,
        410 => Polled::Gone,
        _ => Polled::Unknown(words::refusal(&answer).description),
    }
}

/// Table A0.6: an instance.
pub fn instance(exchange: Exchange, reading: Reading) -> Fetched<InstanceDocument> {
    fetched(exchange, reading, body::instance)
}

/// Table A0.6: a binding, of a service that `requires` these permissions.
pub fn binding(
    exchange: Exchange,
    reading: Reading,
    requires: &[String],
) -> Fetched<BindingDocument> {
    fetched(exchange, reading, |value| body::binding(value, requires))
}

fn fetched<A>(
    exchange: Exchange,
    reading: Reading,
    read: impl FnOnce(Value) -> Result<A, String>,
) -> Fetched<A> {
    let answer = match exchange {
        Exchange::Answered(answer) => answer,
        Exchange::NotSent(reason) | Exchange::Lost(reason) => return Fetched::Failed(reason),
    };
    match answer.status {
        200 => match object(&answer, reading.json_depth).and_then(read) {
            Ok(document) => Fetched::Found(document),
            Err(reason) => {
                Fetched::Failed(format!("HTTP 200, and its body is of no use: {reason}"))
            }
        },
        404 => Fetched::Absent,
        status => {
            let refusal = words::refusal(&answer);
            match refusal.code {
                Some(ErrorCode::ConcurrencyError) if status == 422 => Fetched::Busy,
                _ => Fetched::Failed(refusal.description),
            }
        }
    }
}

/// Table A0.7: one answer of the catalogue. `Err` is 412, to be asked again with a lower version.
pub fn catalog(exchange: Exchange, reading: Reading) -> Result<super::CatalogFetched, Refusal> {
    use super::CatalogFetched as Catalog;
    let answer = match exchange {
        Exchange::Answered(answer) => answer,
        Exchange::NotSent(reason) | Exchange::Lost(reason) => return Ok(Catalog::Failed(reason)),
    };
    let api_version = reading.version;
    Ok(match answer.status {
        200 => {
            let body = answer.body.as_ref().map_err(Clone::clone);
            match body.and_then(|bytes| json::read(bytes, reading.json_depth)) {
                Ok(document) => {
                    let etag = answer.headers.get(http::header::ETAG);
                    let etag = etag.and_then(|value| value.to_str().ok()).map(str::to_owned);
                    Catalog::Fetched { document, api_version, etag }
                }
                Err(reason) => {
                    Catalog::Failed(format!("HTTP 200, and its body is of no use: {reason}"))
                }
            }
        }
        304 => Catalog::Unchanged { api_version },
        401 => Catalog::Unauthorized(words::refusal(&answer)),
        412 => return Err(words::refusal(&answer)),
        300..=399 => Catalog::Failed(format!(
            "HTTP {}: redirects of a broker are not followed",
            answer.status
        )),
        _ => Catalog::Failed(words::refusal(&answer).description),
    })
}
