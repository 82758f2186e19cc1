//! When a broker has settled: the catalogue of the present wish was read or refused, or the broker is gone.

use dispatch_model::{Id, service_broker::ServiceBroker};
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
    let id: Id<ServiceBroker> = Id::from_uuid(id);
    let Some(stored) = platform.store.get_by_id::<ServiceBroker>(scope, id).await? else {
        return Ok(Settling::Settled(None));
    };
    let settled = match &stored {
        Stored::Unreadable { .. } => true,
        Stored::Readable(broker) => {
            broker.meta.deleting.is_none()
                && broker.status.observed_generation == broker.meta.generation
        }
    };
    let wire = shape::stored_to_wire(platform, stored).await?;
    Settling::of(settled, &wire, vec![id.uuid()])
}
