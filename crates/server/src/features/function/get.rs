//! `GET /v1/function/{name}`.

use dispatch_model::{Kind, function::Function};

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn get(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Function)?;
    let wanted = call.tag_filter()?;
    let found = call.platform.store.get::<Function>(&call.scope, &name).await?;
    let found = found.filter(|f| call::has_application(&f.meta().tags, wanted.as_deref()));
    let stored = found.ok_or_else(|| ApiError::not_found(Kind::Function, name.as_str()))?;
    let id = stored.meta().id.uuid();
    Ok(Answer::json(&shape::stored_to_wire(&call.platform, &stored))?.about(Kind::Function, id))
}
