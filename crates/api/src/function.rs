//! Functions on the wire (contract §2.4).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Method, Operation, Route, Tag};

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FunctionInput {
    pub name: Option<String>,
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub handler: Option<String>,
    /// Base64 of a gzip-compressed tar.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    #[serde(rename = "sourceURL", skip_serializing_if = "Option::is_none", default)]
    pub source_url: Option<String>,
    #[serde(default)]
    pub schema: Option<Schema>,
    #[serde(default)]
    pub secrets: Option<Vec<String>>,
    /// `INSTANCE[/BINDING][=ALIAS]` each.
    #[serde(default)]
    pub services: Option<Vec<String>>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tags: Option<Vec<Tag>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Schema {
    #[serde(rename = "in", skip_serializing_if = "Option::is_none", default)]
    pub input: Option<Value>,
    #[serde(rename = "out", skip_serializing_if = "Option::is_none", default)]
    pub output: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Function {
    /// Which layers of the sandbox hold its workers on this machine, and which do not; ours.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub confinement: String,
    pub created_time: i64,
    pub faas_id: Uuid,
    #[serde(rename = "functionImageURL", default, skip_serializing_if = "String::is_empty")]
    pub function_image_url: String,
    pub handler: String,
    pub id: Uuid,
    pub image: String,
    pub kind: String,
    pub name: String,
    pub reason: Option<Vec<String>>,
    pub schema: Schema,
    pub secrets: Option<Vec<String>>,
    pub services: Option<Vec<String>>,
    /// SHA-256 of the source archive, in hex; ours. The source itself is never shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source_digest: String,
    pub status: String,
    pub tags: Option<Vec<Tag>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

const COLLECTION: &str = "/v1/function";
const ONE: &str = "/v1/function/{name}";

pub const ROUTES: &[Route] = &[
    Route::new(Operation::CreateFunction, Method::Post, COLLECTION, "function", 201)
        .body_mib_max(288)
        .bodies("FunctionInput", "Function"),
    Route::new(Operation::ListFunctions, Method::Get, COLLECTION, "function", 200)
        .bodies("", "Function[]"),
    Route::new(Operation::GetFunction, Method::Get, ONE, "function", 200)
        .query(&["wait", "seen", "tags"])
        .bodies("", "Function"),
    Route::new(Operation::UpdateFunction, Method::Put, ONE, "function", 200)
        .body_mib_max(288)
        .query(&["wait", "tags"])
        .bodies("FunctionInput", "Function"),
    Route::new(Operation::DeleteFunction, Method::Delete, ONE, "function", 200)
        .query(&["wait", "tags"])
        .bodies("", "Function"),
];
