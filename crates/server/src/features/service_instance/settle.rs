//! When an instance has settled: it is READY or ERROR and so is its automatic binding, or it is gone (decision 9).

use dispatch_model::{
    Id, Object, Phase,
    service_binding::{self, ServiceBinding},
    service_instance::{ServiceInstance, phase},
};
use dispatch_store::{OrgScope, Stored};
use uuid::Uuid;

use super::shape;
use crate::{
    http::{ApiError, Settling},
    platform::Platform,
};

pub async fn settling(
    platform: &Platform,
    scope: &OrgScope,
    id: Uuid,
) -> Result<Settling, ApiError> {
    let id: Id<ServiceInstance> = Id::from_uuid(id);
    let Some(stored) = platform.store.get_by_id::<ServiceInstance>(scope, id).await? else {
        return Ok(Settling::Settled(None));
    };
    let Stored::Readable(instance) = stored else {
        return Settling::of(true, &shape::stored_to_wire(platform, stored).await?, Vec::new());
    };
    let binding = shape::automatic_binding(platform, &instance).await?;
    let wire = shape::to_wire_with(platform, &instance, binding.as_ref()).await?;
    let mut on = vec![id.uuid()];
    on.extend(binding.as_ref().map(|binding| binding.meta.id.uuid()));
    Settling::of(is_settled(&instance, binding.as_ref()), &wire, on)
}

fn is_settled(
    instance: &Object<ServiceInstance>,
    binding: Option<&Object<ServiceBinding>>,
) -> bool {
    match phase(instance).0 {
        Phase::Ready if instance.meta.deleting.is_none() => {
            // Not there: somebody has deleted it by itself.
            !instance.spec.bindable
                || binding.is_none_or(|binding| service_binding::phase(binding).0.is_settled())
        }
        Phase::Error => true,
        _ => false,
    }
}
