//! `GET /v1/api/{name}`.

use dispatch_model::{Kind, api::Api};

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn get(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Api)?;
    let wanted = call.tag_filter()?;
    let found = call.platform.store.get::<Api>(&call.scope, &name).await?;
    let found = found.filter(|f| call::has_application(&f.meta().tags, wanted.as_deref()));
    let stored = found.ok_or_else(|| ApiError::not_found(Kind::Api, name.as_str()))?;
    Answer::json(&shape::stored_to_wire(&stored))
}
