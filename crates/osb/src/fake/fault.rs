//! What goes wrong on the way to and from the fake broker.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;

/// The kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    Catalog,
    Provision,
    Update,
    Deprovision,
    GetInstance,
    PollInstance,
    Bind,
    Unbind,
    GetBinding,
    PollBinding,
    /// No call of the API.
    Other,
}

impl CallKind {
    /// The kind of a request, by its method and path.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let mut segments = path.trim_start_matches('/').split('/');
        let mut next = || segments.next();
        let (version, noun, instance) = (next(), next(), next());
        if (version, noun, instance) == (Some("v2"), Some("catalog"), None) {
            return Self::Catalog;
        }
        if (version, noun) != (Some("v2"), Some("service_instances")) || instance.is_none() {
            return Self::Other;
        }
        match (method.as_str(), next(), next(), next()) {
            ("PUT", None, ..) => Self::Provision,
            ("PATCH", None, ..) => Self::Update,
            ("DELETE", None, ..) => Self::Deprovision,
            ("GET", None, ..) => Self::GetInstance,
            ("GET", Some("last_operation"), None, _) => Self::PollInstance,
            ("PUT", Some("service_bindings"), Some(_), None) => Self::Bind,
            ("DELETE", Some("service_bindings"), Some(_), None) => Self::Unbind,
            ("GET", Some("service_bindings"), Some(_), None) => Self::GetBinding,
            ("GET", Some("service_bindings"), Some(_), Some("last_operation")) => Self::PollBinding,
            _ => Self::Other,
        }
    }
}

/// Something that goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The work is not done, and this is answered.
    Instead(RawAnswer),
    /// The work is done, and then this is answered instead.
    After(RawAnswer),
    /// The connection ends without an answer, and the work is not done.
    ResetBefore,
    /// The work is done, and the connection ends without an answer.
    ResetAfter,
    /// The work is done, and the connection ends in the middle of the answer's body.
    ResetInBody,
    /// Nothing happens until the release; then the work is done, even if the caller has gone.
    HangBefore,
    /// The work is done; the answer waits for the release.
    HangAfter,
    /// The right answer, one byte at a time with a pause before each.
    Drip { pause: Duration },
    /// The right answer with a header set (or removed, if the value is `None`).
    Header { name: String, value: Option<String> },
}

/// An answer as somebody wants it, right or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// A body that says it is JSON, whatever it is.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.into() }
    }

    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string())
    }

    /// A status without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A failing answer with a code and a description.
    pub fn error(status: u16, code: &str, description: &str) -> Self {
        Self::json(status, &serde_json::json!({"error": code, "description": description}))
    }

    /// With one header more.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
