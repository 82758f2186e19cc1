//! `GET /v1/servicebinding/{name}`: answers until the binding is gone.

use dispatch_model::{Kind, service_binding::ServiceBinding};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn get(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBinding)?;
    let found = call.platform.store.get::<ServiceBinding>(&call.scope, &name).await?;
    let stored = found.ok_or_else(|| ApiError::not_found(Kind::ServiceBinding, name.as_str()))?;
    let id = stored.meta().id.uuid();
    Ok(Answer::json(&shape::stored_to_wire(&stored))?.about(Kind::ServiceBinding, id))
}
