//! When a base image has settled: proved, or refuted, or gone.

use dispatch_model::{
    Id,
    base_image::{BaseImage, phase},
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
    let id: Id<BaseImage> = Id::from_uuid(id);
    let Some(stored) = platform.store.get_by_id::<BaseImage>(scope, id).await? else {
        return Ok(Settling::Settled(None));
    };
    let settled = match &stored {
        Stored::Unreadable { .. } => true,
        Stored::Readable(base) => phase(base).0.is_settled(),
    };
    Settling::of(settled, &shape::stored_to_wire(&stored), vec![id.uuid()])
}
