//! Service instances on the wire: v0.1.22's shape (contract §2.8), the seed's names, and what was missing.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Method, Operation, Route, Tag, service_broker::Condition};

/// What a developer asks for. Ids win over names; both are accepted (design §4).
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceInstanceInput {
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service_class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service_plan: Option<String>,
    /// A UUID, as text so that a bad one is a fault of this member and not of the whole body.
    #[serde(rename = "serviceClassID", skip_serializing_if = "Option::is_none", default)]
    pub service_class_id: Option<String>,
    /// A UUID.
    #[serde(rename = "planID", skip_serializing_if = "Option::is_none", default)]
    pub plan_id: Option<String>,
    /// Says which one is meant when two brokers have a class of this name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub broker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret_parameters: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub binding: Option<InstanceBindingInput>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tags: Option<Vec<Tag>>,
}

/// Parameters of the automatic binding.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceBindingInput {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret_parameters: Option<Vec<String>>,
    /// The first Dispatch named a Kubernetes secret here. Accepted and not used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub binding_secret: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceInstance {
    pub id: Uuid,
    pub kind: String,
    pub name: String,
    pub service_class: String,
    pub service_plan: String,
    #[serde(rename = "serviceClassID")]
    pub service_class_id: Uuid,
    #[serde(rename = "planID")]
    pub plan_id: Uuid,
    pub broker: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters: Option<Value>,
    pub secret_parameters: Option<Vec<String>>,
    /// Absent when the plan is not bindable.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub binding: Option<InstanceBinding>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dashboard_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_operation: Option<LastOperation>,
    pub conditions: Vec<Condition>,
    pub status: String,
    pub reason: Option<Vec<String>>,
    pub created_time: i64,
    pub tags: Option<Vec<Tag>>,
}

/// The automatic binding inside its instance: names of things, never values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceBinding {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters: Option<Value>,
    pub secret_parameters: Option<Vec<String>>,
    /// Name of the secret with the credentials, once there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret: Option<String>,
    #[serde(default)]
    pub keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_operation: Option<LastOperation>,
    pub status: String,
    pub reason: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<i64>,
}

/// What the broker is doing or did last, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastOperation {
    /// `create`, `update`, `delete`, `bind`, `unbind`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `in progress`, `succeeded`, `failed`.
    pub state: String,
    pub description: String,
    /// Unix seconds.
    pub since: i64,
    /// Milliseconds from sending the request to the broker until it was seen to be over. Absent before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub took_ms: Option<u64>,
}

const COLLECTION: &str = "/v1/serviceinstance";
const ONE: &str = "/v1/serviceinstance/{name}";

pub const ROUTES: &[Route] = &[
    Route::new(Operation::CreateServiceInstance, Method::Post, COLLECTION, "serviceinstance", 201)
        .bodies("ServiceInstanceInput", "ServiceInstance"),
    Route::new(Operation::ListServiceInstances, Method::Get, COLLECTION, "serviceinstance", 200)
        .bodies("", "ServiceInstance[]"),
    Route::new(Operation::GetServiceInstance, Method::Get, ONE, "serviceinstance", 200)
        .query(&["wait", "seen"])
        .bodies("", "ServiceInstance"),
    Route::new(Operation::DeleteServiceInstance, Method::Delete, ONE, "serviceinstance", 200)
        .query(&["wait", "purge", "ifUnused"])
        .bodies("", "ServiceInstance"),
    Route::new(
        Operation::RetryServiceInstance,
        Method::Post,
        "/v1/serviceinstance/{name}/retry",
        "serviceinstance",
        200,
    )
    .action(crate::Action::Update)
    .bodies("", "ServiceInstance"),
];
