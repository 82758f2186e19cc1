//! Orphans on the wire: what may be left over at a broker and is being removed (decision 21).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Method, Operation, Route};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    pub id: Uuid,
    pub kind: String,
    /// Name of the broker; empty when it is gone.
    pub broker: String,
    /// Ids as they were sent to the broker.
    pub instance_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub binding_id: Option<String>,
    /// Why it was given up.
    pub cause: String,
    pub tries: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<String>,
    pub next_try_time: i64,
    pub created_time: i64,
    pub status: String,
}

pub const ROUTES: &[Route] =
    &[Route::new(Operation::ListOrphans, Method::Get, "/v1/orphan", "orphan", 200)
        .bodies("", "Orphan[]")];
