//! The catalogue: services and their plans, as `GET /v2/catalog` answers them.
//!
//! Names may hold any characters (OSB-033). Nothing is validated here, see
//! [`catalog::validate`](crate::catalog).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::JsonObject;
use super::lenient::{is_false, null_is_default};
use super::redacted::Text;

/// What a broker offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    pub services: Vec<Service>,
}

impl Catalog {
    /// The service with this id, if it is offered.
    pub fn service(&self, id: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.id == id)
    }
}

/// A kind of thing that can be provisioned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Service {
    pub id: String,
    pub name: String,
    pub description: String,
    pub bindable: bool,
    pub plans: Vec<Plan>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// `syslog_drain`, `route_forwarding`, `volume_mount`, or what a newer version adds (OSB-037).
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// Opaque (OSB-046).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JsonObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard_client: Option<DashboardClient>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub plan_updateable: bool,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub instances_retrievable: bool,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub bindings_retrievable: bool,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub allow_context_updates: bool,
}

impl Service {
    /// The plan with this id, if the service has it.
    pub fn plan(&self, id: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.id == id)
    }
}

/// A size or kind of a service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub id: String,
    pub name: String,
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JsonObject>,
    /// Absent means free, see [`Plan::is_free`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<bool>,
    /// Overrides the service's, see [`Plan::is_bindable`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bindable: Option<bool>,
    /// Overrides the service's, see [`Plan::is_updateable`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_updateable: Option<bool>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub binding_rotatable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schemas: Option<Schemas>,
    /// Seconds after which a platform stops polling an operation (OSB-045).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_polling_duration: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_info: Option<MaintenanceInfo>,
}

impl Plan {
    /// Whether instances of this plan can be bound (OSB-038).
    pub fn is_bindable(&self, service: &Service) -> bool {
        self.bindable.unwrap_or(service.bindable)
    }

    /// Whether an instance that has this plan can change to another one (OSB-039).
    pub fn is_updateable(&self, service: &Service) -> bool {
        self.plan_updateable.unwrap_or(service.plan_updateable)
    }

    /// Whether this plan costs nothing (OSB-040).
    pub fn is_free(&self) -> bool {
        self.free.unwrap_or(true)
    }

    /// The JSON Schema for parameters of a provision request.
    pub fn create_schema(&self) -> Option<&Value> {
        self.schemas.as_ref()?.service_instance.as_ref()?.create.as_ref()?.parameters.as_ref()
    }

    /// The JSON Schema for parameters of an update request.
    pub fn update_schema(&self) -> Option<&Value> {
        self.schemas.as_ref()?.service_instance.as_ref()?.update.as_ref()?.parameters.as_ref()
    }

    /// The JSON Schema for parameters of a bind request.
    pub fn bind_schema(&self) -> Option<&Value> {
        self.schemas.as_ref()?.service_binding.as_ref()?.create.as_ref()?.parameters.as_ref()
    }
}

/// JSON Schemas for the parameters of a plan's requests (OSB-042).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Schemas {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_instance: Option<ServiceInstanceSchemas>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_binding: Option<ServiceBindingSchemas>,
}

/// Schemas for provision and update.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceInstanceSchemas {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<OperationSchema>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<OperationSchema>,
}

/// The schema for bind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceBindingSchemas {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<OperationSchema>,
}

/// The schema of one kind of request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OperationSchema {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
}

/// The version of what runs behind a plan (OSB-044).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceInfo {
    /// Semantic version 2.0.
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Cloud Foundry's single sign-on extension. Holds a secret (OSB-047).
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DashboardClient {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
}

impl fmt::Debug for DashboardClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DashboardClient")
            .field("id", &self.id)
            .field("secret", &Text(&self.secret))
            .field("redirect_uri", &self.redirect_uri)
            .finish()
    }
}
