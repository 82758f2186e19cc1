//! Service instances: bodies of provision and update, their answers, and the fetched document.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::JsonObject;
use super::redacted::Fields;

/// The body of `PUT /v2/service_instances/:id` (OSB-081 … OSB-086).
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProvisionBody {
    pub service_id: String,
    pub plan_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<JsonObject>,
    /// Required by the specification, yet some platforms leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_guid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space_guid: Option<String>,
    /// What the user gave; absent is not the same as `{}` (OSB-085).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<JsonObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_info: Option<MaintenanceVersion>,
}

impl fmt::Debug for ProvisionBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvisionBody")
            .field("service_id", &self.service_id)
            .field("plan_id", &self.plan_id)
            .field("context", &self.context)
            .field("organization_guid", &self.organization_guid)
            .field("space_guid", &self.space_guid)
            .field("parameters", &Fields(&self.parameters))
            .field("maintenance_info", &self.maintenance_info)
            .finish()
    }
}

/// The version of a plan's maintenance that the user saw (OSB-086, OSB-132).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceVersion {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The body of the answer to a provision request (OSB-088).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProvisionAnswer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard_url: Option<String>,
    /// Only with 202; at most 10,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<InstanceMetadata>,
}

/// Labels and attributes that the broker gives an instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceMetadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<JsonObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<JsonObject>,
}

/// The body of `PATCH /v2/service_instances/:id` (OSB-130 … OSB-133).
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdateBody {
    pub service_id: String,
    /// Only when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<JsonObject>,
    /// Only what the user gave in this update; absent means unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<JsonObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_values: Option<PreviousValues>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_info: Option<MaintenanceVersion>,
}

impl fmt::Debug for UpdateBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateBody")
            .field("service_id", &self.service_id)
            .field("plan_id", &self.plan_id)
            .field("context", &self.context)
            .field("parameters", &Fields(&self.parameters))
            .field("previous_values", &self.previous_values)
            .field("maintenance_info", &self.maintenance_info)
            .finish()
    }
}

/// What the instance was before an update. All but `plan_id` and `maintenance_info` is deprecated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PreviousValues {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_info: Option<MaintenanceVersion>,
}

/// The body of the answer to an update (OSB-134). An absent `dashboard_url` keeps the old one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdateAnswer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<InstanceMetadata>,
}

/// The answer to `GET /v2/service_instances/:id`; every field is optional (OSB-120).
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<JsonObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_info: Option<MaintenanceVersion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<InstanceMetadata>,
}

impl fmt::Debug for InstanceDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceDocument")
            .field("service_id", &self.service_id)
            .field("plan_id", &self.plan_id)
            .field("dashboard_url", &self.dashboard_url)
            .field("parameters", &Fields(&self.parameters))
            .field("maintenance_info", &self.maintenance_info)
            .field("metadata", &self.metadata)
            .finish()
    }
}
