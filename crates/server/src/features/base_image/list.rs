//! `GET /v1/baseimage`. Tags are ignored, as in v0.1.22.

use dispatch_model::base_image::BaseImage;

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn list(call: &Call) -> Result<Answer, ApiError> {
    let stored = call.list::<BaseImage>().await?;
    Answer::json(&stored.iter().map(shape::stored_to_wire).collect::<Vec<_>>())
}
