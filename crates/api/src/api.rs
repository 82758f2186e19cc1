//! APIs on the wire (contract §2.9).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Method, Operation, Route, Tag};

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ApiInput {
    pub name: Option<String>,
    pub function: Option<String>,
    #[serde(default)]
    pub uris: Option<Vec<String>>,
    #[serde(default)]
    pub methods: Option<Vec<String>>,
    #[serde(default)]
    pub protocols: Option<Vec<String>>,
    #[serde(default)]
    pub hosts: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub authentication: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enabled: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cors: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tls: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tags: Option<Vec<Tag>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Api {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub authentication: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cors: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enabled: bool,
    pub function: String,
    pub hosts: Option<Vec<String>>,
    pub id: Uuid,
    pub kind: String,
    pub methods: Option<Vec<String>>,
    pub name: String,
    pub protocols: Option<Vec<String>>,
    pub status: String,
    pub tags: Option<Vec<Tag>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tls: String,
    pub uris: Option<Vec<String>>,
}

const COLLECTION: &str = "/v1/api";
const ONE: &str = "/v1/api/{name}";

pub const ROUTES: &[Route] = &[
    Route::new(Operation::CreateApi, Method::Post, COLLECTION, "api", 200)
        .bodies("ApiInput", "Api"),
    Route::new(Operation::ListApis, Method::Get, COLLECTION, "api", 200).bodies("", "Api[]"),
    Route::new(Operation::GetApi, Method::Get, ONE, "api", 200).bodies("", "Api"),
    Route::new(Operation::UpdateApi, Method::Put, ONE, "api", 200).bodies("ApiInput", "Api"),
    Route::new(Operation::DeleteApi, Method::Delete, ONE, "api", 200).bodies("", "Api"),
];
