//! `GET /v1/baseimage/{name}`.

use dispatch_model::{Kind, base_image::BaseImage};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn get(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::BaseImage)?;
    let found = call.platform.store.get::<BaseImage>(&call.scope, &name).await?;
    let stored = found.ok_or_else(|| ApiError::not_found(Kind::BaseImage, name.as_str()))?;
    let id = stored.meta().id.uuid();
    Ok(Answer::json(&shape::stored_to_wire(&stored))?.about(Kind::BaseImage, id))
}
