//! Service classes and plans on the wire: v0.1.22's shape (contract §2.7) with what it promised and never filled.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Method, Operation, Route, Tag};

/// Enables a class of a broker's catalogue (POST), or changes what was decided about one (PUT).
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceClassInput {
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<String>,
    /// The plan of an instance that names none. Empty: there is none. Absent: none on POST, as it is on PUT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_plan: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceClass {
    pub id: Uuid,
    pub kind: String,
    pub name: String,
    pub broker: String,
    #[serde(rename = "brokerID")]
    pub broker_id: Uuid,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bindable: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metadata: Option<Value>,
    pub plans: Vec<ServicePlan>,
    /// The plan of an instance that names none, if one was set and is still offered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub default_plan: Option<String>,
    pub status: String,
    pub reason: Option<Vec<String>>,
    pub created_time: i64,
    pub tags: Option<Vec<Tag>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServicePlan {
    pub id: Uuid,
    pub kind: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bindable: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metadata: Option<Value>,
    pub schema: PlanSchema,
}

/// JSON schemas of the parameters; `{}` where the broker gives none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanSchema {
    pub create: Value,
    pub update: Value,
    pub bind: Value,
}

const COLLECTION: &str = "/v1/serviceclass";
const ONE: &str = "/v1/serviceclass/{name}";

pub const ROUTES: &[Route] = &[
    Route::new(Operation::CreateServiceClass, Method::Post, COLLECTION, "serviceclass", 201)
        .bodies("ServiceClassInput", "ServiceClass"),
    Route::new(Operation::ListServiceClasses, Method::Get, COLLECTION, "serviceclass", 200)
        .query(&["tags", "broker", "available"])
        .bodies("", "ServiceClass[]"),
    Route::new(Operation::GetServiceClass, Method::Get, ONE, "serviceclass", 200)
        .query(&["broker"])
        .bodies("", "ServiceClass"),
    Route::new(Operation::UpdateServiceClass, Method::Put, ONE, "serviceclass", 200)
        .query(&["broker"])
        .bodies("ServiceClassInput", "ServiceClass"),
    Route::new(Operation::DeleteServiceClass, Method::Delete, ONE, "serviceclass", 200)
        .query(&["wait", "broker"])
        .bodies("", "ServiceClass"),
];
