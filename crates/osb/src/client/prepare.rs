//! Requests whose exact bytes are known before they are sent, so that a platform can store them
//! and send the very same again (OSB-089, OSB-090).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Client;
use super::address::encode;
use crate::types::{ApiVersion, BindBody, ProvisionBody, UpdateBody};

/// A request that is ready to be sent, once or many times, also by another process.
///
/// The body may hold secrets: store it encrypted. `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    pub kind: PreparedKind,
    /// Percent-encoded, from the broker's base URL on.
    pub path: String,
    /// Percent-encoded, without the question mark.
    pub query: String,
    /// JSON; serialised as a string.
    #[serde(with = "body_as_text")]
    pub body: Vec<u8>,
    /// Of a bind request: what the service requires, against which the answer is checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
}

/// Which call a [`Prepared`] belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreparedKind {
    Provision,
    Update,
    Bind,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("kind", &self.kind)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("body", &format_args!("<{} bytes>", self.body.len()))
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Prepares a provision request. Fields newer than the spoken version are left out (OSB-084,
    /// OSB-210); asynchronous answers are always accepted (OSB-087).
    pub fn prepare_provision(&self, instance_id: &str, body: &ProvisionBody) -> Prepared {
        let (version, mut body) = (self.api_version(), body.clone());
        if version < ApiVersion::v2(12) {
            body.context = None;
        }
        if version < ApiVersion::v2(15) {
            body.maintenance_info = None;
        }
        Prepared {
            kind: PreparedKind::Provision,
            path: instance_path(instance_id),
            query: ACCEPTS_INCOMPLETE.to_owned(),
            body: bytes(&body),
            requires: Vec::new(),
        }
    }

    /// Prepares an update, likewise.
    pub fn prepare_update(&self, instance_id: &str, body: &UpdateBody) -> Prepared {
        let (version, mut body) = (self.api_version(), body.clone());
        if version < ApiVersion::v2(12) {
            body.context = None;
        }
        if version < ApiVersion::v2(15) {
            body.maintenance_info = None;
            if let Some(previous) = &mut body.previous_values {
                previous.maintenance_info = None;
            }
        }
        Prepared {
            kind: PreparedKind::Update,
            path: instance_path(instance_id),
            query: ACCEPTS_INCOMPLETE.to_owned(),
            body: bytes(&body),
            requires: Vec::new(),
        }
    }

    /// Prepares a bind request.
    ///
    /// `retrievable` is the service's `bindings_retrievable`: only then can credentials be fetched
    /// after an asynchronous answer, so that one is accepted (OSB-110). `requires` is the
    /// service's (OSB-153).
    pub fn prepare_bind(
        &self,
        instance_id: &str,
        binding_id: &str,
        body: &BindBody,
        retrievable: bool,
        requires: &[String],
    ) -> Prepared {
        let (version, mut body) = (self.api_version(), body.clone());
        if version < ApiVersion::v2(13) {
            body.context = None;
        }
        if version < ApiVersion::v2(17) {
            body.predecessor_binding_id = None;
        }
        let asynchronous = retrievable && version.has_asynchronous_bindings();
        Prepared {
            kind: PreparedKind::Bind,
            path: binding_path(instance_id, binding_id),
            query: if asynchronous { ACCEPTS_INCOMPLETE.to_owned() } else { String::new() },
            body: bytes(&body),
            requires: requires.to_vec(),
        }
    }
}

pub(super) const ACCEPTS_INCOMPLETE: &str = "accepts_incomplete=true";

pub(super) fn instance_path(instance_id: &str) -> String {
    format!("/v2/service_instances/{}", encode(instance_id))
}

pub(super) fn binding_path(instance_id: &str, binding_id: &str) -> String {
    format!("{}/service_bindings/{}", instance_path(instance_id), encode(binding_id))
}

fn bytes(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and JSON values always serialise")
}

/// JSON is text: shorter than an array of numbers in the document that stores it.
mod body_as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(body).map_err(serde::ser::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        String::deserialize(deserializer).map(String::into_bytes)
    }
}
