//! `POST /v1/serviceinstance/{name}/retry`: another try after an ERROR, with the same parameters.

use dispatch_model::{Kind, service_instance::ServiceInstance};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn retry(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceInstance)?;
    let mut instance = call.find::<ServiceInstance>(&name).await?;
    instance.spec.retry += 1;
    instance.meta.modified = call.now;
    let (id, broker) = (instance.meta.id.uuid(), instance.spec.broker.uuid());
    let batch =
        call.batch(Kind::ServiceInstance, name.as_str(), id).update_spec(&instance, &[broker], &[]);
    call.platform.store.commit(batch).await?;
    instance.meta.generation += 1;
    call.platform.wakers.wake(Kind::ServiceInstance, id);
    let wire = shape::to_wire(&call.platform, &instance).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceInstance, id))
}
