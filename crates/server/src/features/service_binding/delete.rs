//! `DELETE /v1/servicebinding/{name}`: unbinds, then removes the secret. `?purge=true` forgets it without calling the
//! broker (audited).

use dispatch_model::{Kind, Object, service_binding::ServiceBinding};
use dispatch_store::{Batch, CommitError, ReadError, Stored};

use super::{
    save::{drop_body, drop_secret},
    shape,
};
use crate::{
    http::{Answer, ApiError, Call},
    platform::Platform,
};

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBinding)?;
    let platform = &call.platform;
    let mut binding = call.find::<ServiceBinding>(&name).await?;
    let id = binding.meta.id.uuid();
    let batch = call.batch(Kind::ServiceBinding, name.as_str(), id);
    if call.flag("purge")? {
        let (wire, instance) = (shape::to_wire(&binding), binding.spec.instance.uuid());
        let batch = purge_into(platform, batch, Stored::Readable(binding)).await?;
        platform.store.commit(batch).await?;
        platform.wakers.wake(Kind::ServiceInstance, instance);
        return Answer::json(&wire);
    }
    mark(&mut binding, call.now);
    let batch = batch.update_spec(&binding, &[binding.spec.instance.uuid()], &[]);
    platform.store.commit(batch).await?;
    binding.meta.generation += 1;
    platform.wakers.wake(Kind::ServiceBinding, id);
    Ok(Answer::json(&shape::to_wire(&binding))?.about(Kind::ServiceBinding, id))
}

/// The same, asked for by the instance's controller.
pub async fn mark_deleting(
    platform: &Platform,
    mut binding: Object<ServiceBinding>,
) -> Result<(), CommitError> {
    mark(&mut binding, platform.clock.now());
    let refs = [binding.spec.instance.uuid()];
    let batch = Batch::system("its instance is deleted").update_spec(&binding, &refs, &[]);
    platform.store.commit(batch).await?;
    platform.wakers.wake(Kind::ServiceBinding, binding.meta.id.uuid());
    Ok(())
}

fn mark(binding: &mut Object<ServiceBinding>, now: jiff::Timestamp) {
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
