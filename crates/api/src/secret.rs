//! Secrets on the wire (contract §2.6).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Method, Operation, Route, Tag};

/// What clients send. Unknown fields are ignored, as in v0.1.22.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SecretInput {
    pub name: Option<String>,
    #[serde(default)]
    pub secrets: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub tags: Option<Vec<Tag>>,
}

/// What they get. `secrets` holds the values, as old clients expect; the command line hides them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Secret {
    pub id: Uuid,
    pub kind: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    pub tags: Option<Vec<Tag>>,
}

pub const ROUTES: &[Route] = &[
    Route::new(Operation::CreateSecret, Method::Post, "/v1/secret", "secret", 201)
        .body_mib_max(8)
        .bodies("SecretInput", "Secret"),
    Route::new(Operation::ListSecrets, Method::Get, "/v1/secret", "secret", 200)
        .bodies("", "Secret[]"),
    Route::new(Operation::GetSecret, Method::Get, "/v1/secret/{name}", "secret", 200)
        .bodies("", "Secret"),
    Route::new(Operation::UpdateSecret, Method::Put, "/v1/secret/{name}", "secret", 201)
        .body_mib_max(8)
        .bodies("SecretInput", "Secret"),
    Route::new(Operation::DeleteSecret, Method::Delete, "/v1/secret/{name}", "secret", 204),
];
