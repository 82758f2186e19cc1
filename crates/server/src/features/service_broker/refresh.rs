//! `POST /v1/servicebroker/{name}/refresh`: read the catalogue now.

use dispatch_model::{Kind, service_broker::ServiceBroker};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn refresh(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBroker)?;
    let mut broker = call.find::<ServiceBroker>(&name).await?;
    if broker.meta.deleting.is_some() {
        return Err(ApiError::conflict(format!("service broker {name} is being deleted")));
    }
    broker.spec.refresh += 1;
    broker.meta.modified = call.now;
    let id = broker.meta.id.uuid();
    let batch = call.batch(Kind::ServiceBroker, name.as_str(), id).update_spec(&broker, &[], &[]);
    call.platform.store.commit(batch).await?;
    broker.meta.generation += 1;
    call.platform.wakers.wake(Kind::ServiceBroker, id);
    let wire = shape::to_wire(&call.platform, &broker).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceBroker, id))
}
