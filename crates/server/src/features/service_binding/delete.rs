//! `DELETE /v1/servicebinding/{name}`: unbinds, then removes the secret. `?purge=true` forgets it without calling the
//! broker (audited).

use dispatch_model::{Kind, Name, Object, service_binding::ServiceBinding};
use dispatch_store::{Batch, CommitError, ReadError, Stored};
use jiff::Timestamp;

use super::{
    save::{drop_body, drop_secret},
    shape,
};
use crate::{
    controller,
    http::{Answer, ApiError, Call},
    platform::Platform,
};

/// A purge meets its controller's writes at most this often.
const PURGE_TRIES_MAX: u32 = 20;

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBinding)?;
    let platform = &call.platform;
    if call.flag("purge")? {
        return purge(call, &name).await;
    }
    let mut binding = call.find::<ServiceBinding>(&name).await?;
    let id = binding.meta.id.uuid();
    let batch = call.batch(Kind::ServiceBinding, name.as_str(), id);
    platform.store.commit(ask(batch, binding.clone(), call.now)).await?;
    mark(&mut binding, call.now);
    binding.meta.generation += 1;
    platform.wakers.wake(Kind::ServiceBinding, id);
    Ok(Answer::json(&shape::to_wire(&binding))?.about(Kind::ServiceBinding, id))
}

/// Also one that cannot be read. Its controller may save something at any moment, so this is tried a few times.
async fn purge(call: &Call, name: &Name) -> Result<Answer, ApiError> {
    let platform = &call.platform;
    let mut tries = 0;
    loop {
        let found = platform.store.get::<ServiceBinding>(&call.scope, name).await?;
        let stored =
            found.ok_or_else(|| ApiError::not_found(Kind::ServiceBinding, name.as_str()))?;
        let batch = call.batch(Kind::ServiceBinding, name.as_str(), stored.meta().id.uuid());
        let batch = purge_into(platform, batch, stored.clone()).await?;
        tries += 1;
        match platform.store.commit(batch).await {
            Err(CommitError::Stale { .. }) if tries < PURGE_TRIES_MAX => {}
            done => {
                done?;
                let wire = shape::stored_to_wire(&stored);
                if let Stored::Readable(binding) = stored {
                    platform.wakers.wake(Kind::ServiceInstance, binding.spec.instance.uuid());
                }
                return Answer::json(&wire);
            }
        }
    }
}

/// The same, asked for by the instance's controller.
pub async fn mark_deleting(
    platform: &Platform,
    binding: Object<ServiceBinding>,
) -> Result<(), CommitError> {
    let id = binding.meta.id.uuid();
    let batch = ask(Batch::system("its instance is deleted"), binding, platform.clock.now());
    controller::commit(platform, "service_binding/mark", batch).await?;
    platform.wakers.wake(Kind::ServiceBinding, id);
    Ok(())
}

/// Asks for a binding to go, perhaps once more.
pub fn ask(batch: Batch, mut binding: Object<ServiceBinding>, now: Timestamp) -> Batch {
    mark(&mut binding, now);
    batch.update_spec(&binding, &[binding.spec.instance.uuid()], &[])
}

fn mark(binding: &mut Object<ServiceBinding>, now: Timestamp) {
    binding.meta.deleting = binding.meta.deleting.or(Some(now));
    binding.meta.modified = now;
}

/// Forgets a binding and its secret. The broker is not called.
pub async fn purge_into(
    platform: &Platform,
    mut batch: Batch,
    stored: Stored<ServiceBinding>,
) -> Result<Batch, ReadError> {
    if let Stored::Readable(binding) = &stored {
        batch = drop_body(drop_secret(platform, batch, binding).await?, binding);
    }
    Ok(batch.delete_meta(stored.meta()))
}
