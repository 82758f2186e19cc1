//! `GET /v1/serviceinstance/{name}`: answers until the instance is gone.

use dispatch_model::{Kind, service_instance::ServiceInstance};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn get(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceInstance)?;
    let found = call.platform.store.get::<ServiceInstance>(&call.scope, &name).await?;
    let stored = found.ok_or_else(|| ApiError::not_found(Kind::ServiceInstance, name.as_str()))?;
    let id = stored.meta().id.uuid();
    let wire = shape::stored_to_wire(&call.platform, stored).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceInstance, id))
}
