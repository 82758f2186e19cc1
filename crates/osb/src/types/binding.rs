//! Service bindings: the body of bind, its answer, and the binding document with credentials.
//!
//! `Debug` shows no credential (OSB-014).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::JsonObject;
use super::lenient::null_is_default;
use super::redacted::Fields;

/// The body of `PUT …/service_bindings/:id` (OSB-150, OSB-151, OSB-171).
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BindBody {
    pub service_id: String,
    pub plan_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<JsonObject>,
    /// Deprecated twin of `bind_resource.app_guid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_guid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind_resource: Option<BindResource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<JsonObject>,
    /// The binding that this one replaces (rotation, 2.17).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor_binding_id: Option<String>,
}

impl fmt::Debug for BindBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindBody")
            .field("service_id", &self.service_id)
            .field("plan_id", &self.plan_id)
            .field("context", &self.context)
            .field("app_guid", &self.app_guid)
            .field("bind_resource", &self.bind_resource)
            .field("parameters", &Fields(&self.parameters))
            .field("predecessor_binding_id", &self.predecessor_binding_id)
            .finish()
    }
}

/// Who will use the binding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BindResource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_guid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Further properties of a platform (Cloud Foundry: `space_guid`, …).
    #[serde(flatten)]
    pub more: JsonObject,
}

/// The body of the answer to a bind request: the document with 200 and 201, `operation` with 202.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BindAnswer {
    #[serde(flatten)]
    pub document: BindingDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

/// Everything that a binding gives its consumer (OSB-123, OSB-152 … OSB-156).
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BindingDocument {
    /// Free-form, with nested values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<JsonObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syslog_drain_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_service_url: Option<String>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<VolumeMount>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// Only in the answer to GET, and even there a broker may keep them to itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<JsonObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BindingMetadata>,
}

impl fmt::Debug for BindingDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindingDocument")
            .field("credentials", &Fields(&self.credentials))
            .field("volume_mounts", &self.volume_mounts.len())
            .field("endpoints", &self.endpoints)
            .field("parameters", &Fields(&self.parameters))
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

/// A volume that is mounted for the consumer (OSB-154).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VolumeMount {
    pub driver: String,
    pub container_dir: String,
    /// `r` or `rw`.
    pub mode: String,
    /// `shared`.
    pub device_type: String,
    pub device: Device,
}

/// The device of a volume mount.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Device {
    pub volume_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_config: Option<JsonObject>,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("volume_id", &self.volume_id)
            .field("mount_config", &Fields(&self.mount_config))
            .finish()
    }
}

/// A network address that the consumer has to reach (OSB-155).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    pub host: String,
    /// Single ports (`"443"`) or ranges (`"9000-9010"`).
    pub ports: Vec<String>,
    /// `tcp` (the default), `udp` or `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// Until when a binding is good (OSB-156). Times are kept as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingMetadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<String>,
}

impl BindingMetadata {
    /// `expires_at` as a time; `None` when absent or unreadable. The fraction is optional.
    pub fn expires(&self) -> Option<jiff::Timestamp> {
        self.expires_at.as_deref()?.parse().ok()
    }

    /// `renew_before` as a time; `None` when absent or unreadable.
    pub fn renew(&self) -> Option<jiff::Timestamp> {
        self.renew_before.as_deref()?.parse().ok()
    }
}
