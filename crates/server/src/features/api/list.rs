//! `GET /v1/api`.

use dispatch_model::api::Api;

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn list(call: &Call) -> Result<Answer, ApiError> {
    let wanted = call.tag_filter()?;
    let stored = call.list::<Api>().await?;
    let wires: Vec<_> = stored
        .iter()
        .filter(|stored| call::has_application(&stored.meta().tags, wanted.as_deref()))
        .map(shape::stored_to_wire)
        .collect();
    Answer::json(&wires)
}
