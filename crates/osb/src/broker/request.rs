//! The requests that a broker gets, with ids decoded and bodies read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::types::{ApiVersion, BindBody, JsonObject, ProvisionBody, UpdateBody};

/// What every request carries besides its subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The version that the platform speaks; its major number is 2.
    pub api_version: ApiVersion,
    /// Who caused the request, if the platform says so (OSB-008).
    pub originating_identity: Option<OriginatingIdentity>,
    /// The platform's name for this one request (OSB-010); it is echoed by the toolkit.
    pub request_identity: Option<String>,
}

/// `X-Broker-API-Originating-Identity`: a platform's name and an object in its own shape.
#[derive(Debug, Clone, PartialEq)]
pub struct OriginatingIdentity {
    pub platform: String,
    pub value: JsonObject,
}

impl OriginatingIdentity {
    /// Reads the header's value: the platform, one space, base64 of a JSON object.
    pub fn from_header(text: &str) -> Option<Self> {
        let (platform, encoded) = text.split_once(' ')?;
        if platform.is_empty() {
            return None;
        }
        let value = serde_json::from_slice(&STANDARD.decode(encoded.trim()).ok()?).ok()?;
        Some(Self { platform: platform.to_owned(), value })
    }

    /// Writes the header's value.
    pub fn to_header(&self) -> String {
        let json = serde_json::Value::Object(self.value.clone()).to_string();
        format!("{} {}", self.platform, STANDARD.encode(json))
    }
}

/// `PUT /v2/service_instances/:instance_id`
#[derive(Debug, Clone, PartialEq)]
pub struct Provision {
    pub instance_id: String,
    /// Without it only a synchronous answer is allowed, else [`Failure::async_required`](super::Failure::async_required).
    pub accepts_incomplete: bool,
    pub body: ProvisionBody,
}

/// `PATCH /v2/service_instances/:instance_id`
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub instance_id: String,
    pub accepts_incomplete: bool,
    pub body: UpdateBody,
}

/// `DELETE /v2/service_instances/:instance_id`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprovision {
    pub instance_id: String,
    pub accepts_incomplete: bool,
    pub service_id: String,
    pub plan_id: String,
}

/// `GET /v2/service_instances/:instance_id/last_operation`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollInstance {
    pub instance_id: String,
    pub service_id: Option<String>,
    pub plan_id: Option<String>,
    /// What the broker gave with its 202.
    pub operation: Option<String>,
}

/// `GET /v2/service_instances/:instance_id`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetInstance {
    pub instance_id: String,
    pub service_id: Option<String>,
    pub plan_id: Option<String>,
}

/// `PUT /v2/service_instances/:instance_id/service_bindings/:binding_id`
#[derive(Debug, Clone, PartialEq)]
pub struct Bind {
    pub instance_id: String,
    pub binding_id: String,
    pub accepts_incomplete: bool,
    pub body: BindBody,
}

/// `DELETE /v2/service_instances/:instance_id/service_bindings/:binding_id`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbind {
    pub instance_id: String,
    pub binding_id: String,
    pub accepts_incomplete: bool,
    pub service_id: String,
    pub plan_id: String,
}

/// `GET /v2/service_instances/:instance_id/service_bindings/:binding_id/last_operation`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollBinding {
    pub instance_id: String,
    pub binding_id: String,
    pub service_id: Option<String>,
    pub plan_id: Option<String>,
    pub operation: Option<String>,
}

/// `GET /v2/service_instances/:instance_id/service_bindings/:binding_id`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetBinding {
    pub instance_id: String,
    pub binding_id: String,
    pub service_id: Option<String>,
    pub plan_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OSB-008: standard padded base64, one space, a platform.
    #[test]
    fn an_originating_identity_survives_its_header() {
        let value = serde_json::json!({"user_id": "é?>", "groups": ["a"]});
        let identity = OriginatingIdentity {
            platform: "dispatch".to_owned(),
            value: value.as_object().cloned().unwrap_or_default(),
        };
        assert_eq!(OriginatingIdentity::from_header(&identity.to_header()), Some(identity));
        for bad in ["", "dispatch", " e30=", "dispatch ???", "dispatch W10="] {
            assert_eq!(OriginatingIdentity::from_header(bad), None, "{bad}");
        }
    }
}
