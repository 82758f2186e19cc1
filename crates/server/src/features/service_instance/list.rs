//! `GET /v1/serviceinstance`.

use dispatch_model::service_instance::ServiceInstance;

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn list(call: &Call) -> Result<Answer, ApiError> {
    let wanted = call.tag_filter()?;
    let mut wires = Vec::new();
    for stored in call.list::<ServiceInstance>().await? {
        if call::has_application(&stored.meta().tags, wanted.as_deref()) {
            wires.push(shape::stored_to_wire(&call.platform, stored).await?);
        }
    }
    Answer::json(&wires)
}
