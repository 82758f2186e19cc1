//! `DELETE /v1/serviceinstance/{name}`: bindings first, then the instance at the broker, then the name is free.
//! `?purge=true` forgets it without calling the broker (audited). Repeating a refused one tries again.

use dispatch_model::{
    Kind, Object, orphan::Orphan, service_binding::ServiceBinding,
    service_instance::ServiceInstance,
};
use dispatch_store::{Batch, CommitError, ReadError, SealedKey, Stored};

use super::shape;
use crate::{
    features::service_binding,
    http::{Answer, ApiError, Call},
    platform::Platform,
};

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceInstance)?;
    let platform = &call.platform;
    let mut instance = call.find::<ServiceInstance>(&name).await?;
    let id = instance.meta.id.uuid();
    let batch = call.batch(Kind::ServiceInstance, name.as_str(), id);
    if call.flag("purge")? {
        let wire = shape::to_wire(platform, &instance).await?;
        let broker = instance.spec.broker.uuid();
        let batch = purge_into(platform, batch, Stored::Readable(instance)).await?;
        platform.store.commit(batch).await?;
        platform.wakers.wake(Kind::ServiceBroker, broker);
        return Answer::json(&wire);
    }
    mark(&mut instance, call.now);
    let batch = batch.update_spec(&instance, &[instance.spec.broker.uuid()], &[]);
    platform.store.commit(batch).await?;
    instance.meta.generation += 1;
    platform.wakers.wake(Kind::ServiceInstance, id);
    let wire = shape::to_wire(platform, &instance).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceInstance, id))
}

/// The same, asked for by the broker's controller.
pub async fn mark_deleting(
    platform: &Platform,
    mut instance: Object<ServiceInstance>,
) -> Result<(), CommitError> {
    mark(&mut instance, platform.clock.now());
    let refs = [instance.spec.broker.uuid()];
    let batch = Batch::system("its broker is deleted").update_spec(&instance, &refs, &[]);
    platform.store.commit(batch).await?;
    platform.wakers.wake(Kind::ServiceInstance, instance.meta.id.uuid());
    Ok(())
}

fn mark(instance: &mut Object<ServiceInstance>, now: jiff::Timestamp) {
    instance.meta.deleting = instance.meta.deleting.or(Some(now));
    instance.meta.modified = now;
}

/// Forgets an instance and all that hangs on it, in one batch. The broker is not called.
pub async fn purge_into(
    platform: &Platform,
    mut batch: Batch,
    stored: Stored<ServiceInstance>,
) -> Result<Batch, ReadError> {
    let id = stored.meta().id.uuid();
    let (store, everywhere) = (&platform.store, &platform.system);
    for binding in store.list_referring::<ServiceBinding>(everywhere, id).await? {
        batch = service_binding::purge_into(platform, batch, binding).await?;
    }
    for orphan in store.list_referring::<Orphan>(everywhere, id).await? {
        batch = batch.delete_meta(orphan.meta());
    }
    if let Stored::Readable(instance) = &stored
        && let Some(version) = instance.status.in_flight.as_ref().and_then(|flight| flight.body)
    {
        batch = batch.unseal_delete(SealedKey { owner: id, version });
    }
    Ok(batch.delete_meta(stored.meta()))
}
