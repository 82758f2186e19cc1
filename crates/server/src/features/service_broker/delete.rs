//! `DELETE /v1/servicebroker/{name}`: takes its classes with it. With live instances it is refused, unless
//! `?cascade=true` (removes them first) or `?purge=true` (forgets all without calling the broker; audited).

use dispatch_model::{
    Kind, Object, orphan::Orphan, service_broker::ServiceBroker, service_instance::ServiceInstance,
};

use super::{act, shape};
use crate::{
    features::service_instance,
    http::{Answer, ApiError, Call},
};

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBroker)?;
    let mut broker = call.find::<ServiceBroker>(&name).await?;
    let id = broker.meta.id.uuid();
    if call.flag("purge")? {
        return purge(call, broker).await;
    }
    let cascade = call.flag("cascade")?;
    let store = &call.platform.store;
    let instances = store.list_referring::<ServiceInstance>(&call.scope, id).await?;
    if !cascade && !instances.is_empty() {
        let users: Vec<String> =
            instances.iter().map(|stored| stored.meta().name.to_string()).collect();
        return Err(act::in_use(name.as_str(), &users));
    }
    broker.meta.deleting = broker.meta.deleting.or(Some(call.now));
    broker.meta.modified = call.now;
    broker.spec.cascade |= cascade;
    let batch = call.batch(Kind::ServiceBroker, name.as_str(), id).update_spec(&broker, &[], &[]);
    store.commit(batch).await?;
    broker.meta.generation += 1;
    call.platform.wakers.wake(Kind::ServiceBroker, id);
    let wire = shape::to_wire(&call.platform, &broker).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceBroker, id))
}

/// Forgets the broker and everything that stands on it. What exists at the broker stays there.
async fn purge(call: &Call, broker: Object<ServiceBroker>) -> Result<Answer, ApiError> {
    let (platform, id) = (&call.platform, broker.meta.id.uuid());
    let wire = shape::to_wire(platform, &broker).await?;
    let batch = call.batch(Kind::ServiceBroker, broker.meta.name.as_str(), id);
    let mut batch = act::leave(platform, batch, &broker).await?;
    for stored in platform.store.list_referring::<ServiceInstance>(&call.scope, id).await? {
        batch = service_instance::purge_into(platform, batch, stored).await?;
    }
    for stored in platform.store.list_referring::<Orphan>(&call.scope, id).await? {
        batch = batch.delete_meta(stored.meta());
    }
    platform.store.commit(batch.delete(&broker)).await?;
    platform.brokers.forget(broker.meta.id);
    Answer::json(&wire)
}
