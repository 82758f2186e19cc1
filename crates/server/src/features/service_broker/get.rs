//! `GET /v1/servicebroker/{name}`.

use dispatch_model::{Kind, service_broker::ServiceBroker};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn get(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBroker)?;
    let found = call.platform.store.get::<ServiceBroker>(&call.scope, &name).await?;
    let stored = found.ok_or_else(|| ApiError::not_found(Kind::ServiceBroker, name.as_str()))?;
    let id = stored.meta().id.uuid();
    let wire = shape::stored_to_wire(&call.platform, stored).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceBroker, id))
}
