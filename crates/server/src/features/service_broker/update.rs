//! `PUT /v1/servicebroker/{name}`: a new address, login or selection. Instances stay attached (OSB-034).

use dispatch_api::service_broker::ServiceBrokerInput;
use dispatch_model::{Kind, service_broker::ServiceBroker};

use super::{input, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn update(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBroker)?;
    let mut input: ServiceBrokerInput = call.body()?;
    if input.name.as_deref().is_some_and(|given| given != name.as_str()) {
        return Err(ApiError::bad_request("the name in the body is not the one in the path"));
    }
    let mut broker = call.find::<ServiceBroker>(&name).await?;
    if broker.meta.deleting.is_some() {
        return Err(ApiError::conflict(format!("service broker {name} is being deleted")));
    }
    if let Some(tags) = input.tags.take() {
        broker.meta.tags = call::tags(Some(tags))?;
    }
    let refresh = broker.spec.refresh + 1;
    broker.spec = input::spec(call, input).await?;
    broker.spec.refresh = refresh;
    broker.meta.modified = call.now;
    let id = broker.meta.id.uuid();
    let batch = call.batch(Kind::ServiceBroker, name.as_str(), id).update_spec(&broker, &[], &[]);
    call.platform.store.commit(batch).await?;
    broker.meta.generation += 1;
    call.platform.wakers.wake(Kind::ServiceBroker, id);
    let wire = shape::to_wire(&call.platform, &broker).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceBroker, id))
}
