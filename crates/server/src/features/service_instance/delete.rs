//! `DELETE /v1/serviceinstance/{name}`: bindings first, then the instance at the broker, then the name is free.
//! `?purge=true` forgets it without calling the broker (audited). Repeating a refused one tries again.

use dispatch_model::{
    Kind, Name, Object, Phase,
    orphan::Orphan,
    service_binding::{ServiceBinding, phase},
    service_instance::ServiceInstance,
};
use dispatch_store::{Batch, CommitError, ReadError, SealedKey, Stored};
use jiff::Timestamp;
use uuid::Uuid;

use super::shape;
use crate::{
    controller::{self, Trouble},
    features::service_binding,
    http::{Answer, ApiError, Call},
    platform::Platform,
};

/// A purge meets its controller's writes at most this often.
const PURGE_TRIES_MAX: u32 = 20;

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceInstance)?;
    let platform = &call.platform;
    if call.flag("purge")? {
        return purge(call, &name).await;
    }
    let mut instance = call.find::<ServiceInstance>(&name).await?;
    let id = instance.meta.id.uuid();
    let batch = call.batch(Kind::ServiceInstance, name.as_str(), id);
    let (batch, again) = ask(platform, batch, &mut instance, call.now).await?;
    platform.store.commit(batch).await?;
    instance.meta.generation += 1;
    platform.wakers.wake(Kind::ServiceInstance, id);
    for binding in again {
        platform.wakers.wake(Kind::ServiceBinding, binding);
    }
    let wire = shape::to_wire(platform, &instance).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceInstance, id))
}

/// Also one that cannot be read. Its controller may save something at any moment, so this is tried a few times.
async fn purge(call: &Call, name: &Name) -> Result<Answer, ApiError> {
    let platform = &call.platform;
    let mut tries = 0;
    loop {
        let found = platform.store.get::<ServiceInstance>(&call.scope, name).await?;
        let stored =
            found.ok_or_else(|| ApiError::not_found(Kind::ServiceInstance, name.as_str()))?;
        let id = stored.meta().id.uuid();
        let wire = shape::stored_to_wire(platform, stored.clone()).await?;
        let batch = call.batch(Kind::ServiceInstance, name.as_str(), id);
        let batch = purge_into(platform, batch, stored.clone()).await?;
        tries += 1;
        match platform.store.commit(batch).await {
            Err(CommitError::Stale { .. }) if tries < PURGE_TRIES_MAX => {}
            done => {
                done?;
                if let Stored::Readable(instance) = stored {
                    platform.wakers.wake(Kind::ServiceBroker, instance.spec.broker.uuid());
                }
                return Answer::json(&wire);
            }
        }
    }
}

/// The same, asked for by the broker's controller.
pub async fn mark_deleting(
    platform: &Platform,
    mut instance: Object<ServiceInstance>,
) -> Result<(), Trouble> {
    let batch = Batch::system("its broker is deleted");
    let (batch, again) = ask(platform, batch, &mut instance, platform.clock.now()).await?;
    controller::commit(platform, "service_instance/mark", batch).await?;
    platform.wakers.wake(Kind::ServiceInstance, instance.meta.id.uuid());
    for binding in again {
        platform.wakers.wake(Kind::ServiceBinding, binding);
    }
    Ok(())
}

/// Asks for an instance to go, and once more for its bindings that the broker has refused to unbind; those.
pub async fn ask(
    platform: &Platform,
    mut batch: Batch,
    instance: &mut Object<ServiceInstance>,
    now: Timestamp,
) -> Result<(Batch, Vec<Uuid>), ReadError> {
    instance.meta.deleting = instance.meta.deleting.or(Some(now));
    instance.meta.modified = now;
    batch = batch.update_spec(instance, &[instance.spec.broker.uuid()], &[]);
    let mut again = Vec::new();
    let (store, id) = (&platform.store, instance.meta.id.uuid());
    for stored in store.list_referring::<ServiceBinding>(&platform.system, id).await? {
        let Stored::Readable(binding) = stored else { continue };
        if binding.meta.deleting.is_some() && phase(&binding).0 == Phase::Error {
            again.push(binding.meta.id.uuid());
            batch = service_binding::ask(batch, binding, now);
        }
    }
    Ok((batch, again))
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
