//! Version, health and the page that `dispatch login` looks at.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Action, Method, Operation, Route};

/// That the server is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    pub version: Version,
}

/// A word to whoever has logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub message: String,
}

/// Shape of v0.1.22: all fields always there (contract §2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub version: String,
    pub commit: String,
    pub build_date: String,
    /// The compiler's version, in the field where the original had Go's.
    pub go_version: String,
    pub compiler: String,
    pub platform: String,
}

pub const ROUTES: &[Route] = &[
    Route::new(Operation::GetHealth, Method::Get, "/healthz", "healthz", 200)
        .action(Action::Public)
        .query(&[])
        .bodies("", "Health"),
    Route::new(Operation::GetHome, Method::Get, "/home", "home", 200)
        .query(&[])
        .bodies("", "Message"),
    Route::new(Operation::GetOpenApi, Method::Get, "/openapi.json", "openapi.json", 200)
        .action(Action::Public)
        .query(&[]),
    Route::new(Operation::GetVersion, Method::Get, "/v1/version", "version", 200)
        .action(Action::Public)
        .query(&[])
        .bodies("", "Version"),
];
