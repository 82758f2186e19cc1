//! `GET /v1/secret`.

use dispatch_model::secret::Secret;

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn list(call: &Call) -> Result<Answer, ApiError> {
    let wanted = call.tag_filter()?;
    let mut wires = Vec::new();
    for stored in call.list::<Secret>().await? {
        if !call::has_application(&stored.meta().tags, wanted.as_deref()) {
            continue;
        }
        // What cannot be read has no values to show; it is still found, and named, by GET.
        let Ok(secret) = stored.readable() else { continue };
        wires.push(shape::to_wire(call, &secret).await?);
    }
    Answer::json(&wires)
}
