//! Service bindings on the wire (decision 20a).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Method, Operation, Route, Tag, service_instance::LastOperation};

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceBindingInput {
    pub name: Option<String>,
    pub instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret_parameters: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tags: Option<Vec<Tag>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceBinding {
    pub id: Uuid,
    pub kind: String,
    pub name: String,
    pub instance: String,
    /// Name of the function that it was made for; empty for the others.
    pub function: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters: Option<Value>,
    pub secret_parameters: Option<Vec<String>>,
    /// Name of the secret with the credentials, once there are any.
    pub secret: String,
    pub keys: Vec<String>,
    /// Grows with every rotation.
    pub credentials_version: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_time: Option<i64>,
    pub endpoints: Vec<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_operation: Option<LastOperation>,
    pub status: String,
    pub reason: Option<Vec<String>>,
    pub created_time: i64,
    pub tags: Option<Vec<Tag>>,
}

/// Where the service listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

const COLLECTION: &str = "/v1/servicebinding";
const ONE: &str = "/v1/servicebinding/{name}";

pub const ROUTES: &[Route] = &[
    Route::new(Operation::CreateServiceBinding, Method::Post, COLLECTION, "servicebinding", 201)
        .bodies("ServiceBindingInput", "ServiceBinding"),
    Route::new(Operation::ListServiceBindings, Method::Get, COLLECTION, "servicebinding", 200)
        .bodies("", "ServiceBinding[]"),
    Route::new(Operation::GetServiceBinding, Method::Get, ONE, "servicebinding", 200)
        .query(&["wait", "seen"])
        .bodies("", "ServiceBinding"),
    Route::new(Operation::DeleteServiceBinding, Method::Delete, ONE, "servicebinding", 200)
        .query(&["wait", "purge"])
        .bodies("", "ServiceBinding"),
    Route::new(
        Operation::RotateServiceBinding,
        Method::Post,
        "/v1/servicebinding/{name}/rotate",
        "servicebinding",
        200,
    )
    .action(crate::Action::Update)
    .bodies("", "ServiceBinding"),
];
