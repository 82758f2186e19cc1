//! `GET /v1/image/{name}`.

use dispatch_model::{Kind, image::Image};

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn get(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Image)?;
    let wanted = call.tag_filter()?;
    let found = call.platform.store.get::<Image>(&call.scope, &name).await?;
    let found = found.filter(|f| call::has_application(&f.meta().tags, wanted.as_deref()));
    let stored = found.ok_or_else(|| ApiError::not_found(Kind::Image, name.as_str()))?;
    let id = stored.meta().id.uuid();
    Ok(Answer::json(&shape::stored_to_wire(&stored))?.about(Kind::Image, id))
}
