//! Runs on the wire (contract §2.5).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Method, Operation, Route, Tag};

/// What clients send. The input stays the text that it came as.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunInput {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocking: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<Value>)]
    pub input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub http_context: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub event: Option<Value>,
    #[serde(default)]
    pub secrets: Option<Vec<String>>,
    /// `INSTANCE[/BINDING][=ALIAS]` each, for this run.
    #[serde(default)]
    pub services: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tags: Option<Vec<Tag>>,
}

/// What they get. Keys are in the order of the alphabet, as v0.1.22 printed them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocking: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<RunError>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub event: Option<Value>,
    /// Unix seconds; when it was created.
    pub executed_time: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub faas_id: Option<Uuid>,
    /// Unix seconds; `NOT_FINISHED` until it is.
    pub finished_time: i64,
    pub function_id: Uuid,
    pub function_name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub http_context: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<Value>)]
    pub input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub logs: Option<Logs>,
    pub name: Uuid,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<Value>)]
    pub output: Option<Box<RawValue>>,
    pub reason: Option<Vec<String>>,
    pub secrets: Vec<String>,
    /// Always `null`, as in v0.1.22.
    pub services: Option<Vec<String>>,
    pub status: String,
    pub tags: Vec<Tag>,
}

/// Go's zero time in Unix seconds: `finishedTime` of a run that has not finished.
pub const NOT_FINISHED: i64 = -62_135_596_800;

/// `null` where nothing was printed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Logs {
    pub stderr: Option<Vec<String>>,
    pub stdout: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunError {
    pub message: String,
    pub stacktrace: Option<Vec<String>>,
    /// `InputError`, `FunctionError`, `SystemError`.
    #[serde(rename = "type")]
    pub kind: String,
}

pub const ROUTES: &[Route] = &[
    Route::new(Operation::CreateRun, Method::Post, "/v1/runs", "runs", 200)
        .body_mib_max(11)
        .query(&["functionName", "tags"])
        .bodies("RunInput", "Run"),
    Route::new(Operation::ListRuns, Method::Get, "/v1/runs", "runs", 200)
        .query(&["functionName", "since", "tags"])
        .bodies("", "Run[]"),
    Route::new(Operation::GetRun, Method::Get, "/v1/runs/{name}", "runs", 200)
        .query(&["functionName", "since", "tags", "wait"])
        .bodies("", "Run"),
];
