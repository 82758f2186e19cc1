//! When a function has settled: the present wish is in service or has failed, or the function is gone.

use dispatch_model::{
    Id,
    function::{Function, phase},
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
    let id: Id<Function> = Id::from_uuid(id);
    let Some(stored) = platform.store.get_by_id::<Function>(scope, id).await? else {
        return Ok(Settling::Settled(None));
    };
    let settled = match &stored {
        Stored::Unreadable { .. } => true,
        Stored::Readable(function) => phase(function).0.is_settled(),
    };
    Settling::of(settled, &shape::stored_to_wire(platform, &stored), vec![id.uuid()])
}
