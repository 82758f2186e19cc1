//! `GET /v1/function`.

use dispatch_model::function::Function;

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn list(call: &Call) -> Result<Answer, ApiError> {
    let wanted = call.tag_filter()?;
    let stored = call.list::<Function>().await?;
    let wires: Vec<_> = stored
        .iter()
        .filter(|stored| call::has_application(&stored.meta().tags, wanted.as_deref()))
        .map(|stored| shape::stored_to_wire(&call.platform, stored))
        .collect();
    Answer::json(&wires)
}
