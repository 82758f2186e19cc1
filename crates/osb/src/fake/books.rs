//! The books of the fake broker: what exists now, what ever did, and what was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::fault::CallKind;
use super::settings::End;
use crate::types::{BindBody, JsonObject, OperationState, ProvisionBody, UpdateBody};

/// A copy of the books at one moment.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// Instances that exist, those being made or removed included, by their id.
    pub instances: BTreeMap<String, InstanceRecord>,
    /// Bindings that exist, likewise, by their id.
    pub bindings: BTreeMap<String, BindingRecord>,
    /// Ids of all instances that ever existed.
    pub instances_ever: BTreeSet<String>,
    /// Ids of all bindings that ever existed.
    pub bindings_ever: BTreeSet<String>,
    /// All asynchronous operations in the order of their beginning.
    pub operations: Vec<OperationRecord>,
    /// All requests in the order in which they came.
    pub requests: Vec<RequestRecord>,
    /// Requests that hang now.
    pub hanging: usize,
    /// What a platform must not do and did, with the number of the obligation.
    pub violations: Vec<String>,
}

impl Books {
    /// The requests of one kind.
    pub fn requests_of(&self, call: CallKind) -> Vec<&RequestRecord> {
        self.requests.iter().filter(|request| request.call == call).collect()
    }

    /// How many requests of one kind came.
    pub fn count(&self, call: CallKind) -> usize {
        self.requests_of(call).len()
    }

    /// Whether nothing exists, and no operation is under way.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.bindings.is_empty()
    }

    /// The operation of this subject that is in progress.
    pub(super) fn running(&mut self, subject: &Subject) -> Option<&mut OperationRecord> {
        self.operations
            .iter_mut()
            .rev()
            .find(|op| op.subject == *subject && op.state == OperationState::InProgress)
    }

    /// The last operation of this subject.
    pub(super) fn last(&mut self, subject: &Subject) -> Option<&mut OperationRecord> {
        self.operations.iter_mut().rev().find(|op| op.subject == *subject)
    }

    pub(super) fn violation(&mut self, text: impl Into<String>) {
        self.violations.push(text.into());
    }
}

/// An instance that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceRecord {
    /// As it was provisioned.
    pub body: ProvisionBody,
    /// The present plan.
    pub plan_id: String,
    /// The present parameters.
    pub parameters: Option<JsonObject>,
    /// The present maintenance version.
    pub maintenance_version: Option<String>,
    pub context: Option<JsonObject>,
    pub dashboard_url: Option<String>,
    pub standing: Standing,
}

/// A binding that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct BindingRecord {
    pub instance_id: String,
    pub body: BindBody,
    pub credentials: JsonObject,
    /// How many answers had the credentials in them, lost ones included.
    pub served: u32,
    pub standing: Standing,
}

/// How an instance or binding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Creating,
    Ready,
    Updating,
    Deleting,
    /// What is left of a failed creation.
    CreateFailed,
}

/// An asynchronous operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationRecord {
    /// What the 202 gave as `operation`, if anything.
    pub operation: Option<String>,
    pub subject: Subject,
    pub verb: Verb,
    pub state: OperationState,
    /// How often it was asked for.
    pub polls: u32,
    pub(super) left: Left,
    pub(super) end: End,
    pub(super) progress: Vec<String>,
    pub(super) update: Option<UpdateBody>,
}

/// What an operation waits for before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// So many polls that answer "in progress".
    Polls(u32),
    Release,
    /// The time at which it has lasted so long.
    Time {
        begun: Timestamp,
        lasting: Duration,
    },
}

/// What an operation is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Instance(String),
    Binding { instance: String, binding: String },
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Create,
    Update,
    Delete,
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    pub call: CallKind,
    pub method: String,
    /// Still encoded.
    pub path: String,
    /// Still encoded, without the question mark.
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The status that was answered; `None` while it is open, or if the connection was ended.
    pub status: Option<u16>,
}

impl RequestRecord {
    /// The value of a header; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
