//! `POST /v1/servicebroker`: registers a broker. Waits for the catalogue by default, so that the answer lists the
//! classes or every reason for refusal.

use dispatch_api::service_broker::ServiceBrokerInput;
use dispatch_model::{
    Id, Kind, Object,
    object::Meta,
    secret::{Owner, Secret},
    service_broker::{ServiceBroker, Status},
};
use dispatch_store::Batch;

use super::{input, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let mut input: ServiceBrokerInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let tags = call::tags(input.tags.take())?;
    let spec = input::spec(call, input).await?;
    let id: Id<ServiceBroker> = Id::from_uuid(call.platform.entropy.uuid());
    let broker = Object {
        meta: Meta::new(id, call.organization, name, call.now, tags),
        spec,
        status: Status::default(),
    };
    let batch = call.batch(Kind::ServiceBroker, broker.meta.name.as_str(), id.uuid()).create(
        &broker,
        &[],
        &[],
    );
    let batch = adopt_login(call, batch, &broker).await?;
    call.platform.store.commit(batch).await?;
    call.platform.wakers.wake(Kind::ServiceBroker, id.uuid());
    let wire = shape::to_wire(&call.platform, &broker).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceBroker, id.uuid()))
}

/// The secret `broker-NAME` is the login that was given with the registration: it belongs to the broker and goes with
/// it (decision 20a). A secret of any other name stays its user's.
async fn adopt_login(
    call: &Call,
    batch: Batch,
    broker: &Object<ServiceBroker>,
) -> Result<Batch, ApiError> {
    let own = format!("broker-{}", broker.meta.name);
    let Some(name) = broker.spec.authentication.secret().filter(|name| name.as_str() == own) else {
        return Ok(batch);
    };
    let mut secret = call.find::<Secret>(name).await?;
    if secret.spec.owner != Owner::User {
        return Ok(batch);
    }
    secret.spec.owner = Owner::Broker(broker.meta.id);
    Ok(batch.update_spec(&secret, &[broker.meta.id.uuid()], &[]))
}
