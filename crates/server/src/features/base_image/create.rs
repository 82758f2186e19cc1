//! `POST /v1/baseimage`: 201. The interpreter proves itself afterwards.

use dispatch_api::base_image::BaseImageInput;
use dispatch_model::{
    Id, Kind, Object,
    base_image::{BaseImage, Status},
    object::Meta,
};

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let input: BaseImageInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let spec = shape::spec(call, &input)?;
    let id: Id<BaseImage> = Id::from_uuid(call.platform.entropy.uuid());
    let base = Object {
        meta: Meta::new(id, call.organization, name, call.now, call::tags(input.tags)?),
        spec,
        status: Status::default(),
    };
    let batch =
        call.batch(Kind::BaseImage, base.meta.name.as_str(), id.uuid()).create(&base, &[], &[]);
    call.platform.store.commit(batch).await?;
    call.platform.wakers.wake(Kind::BaseImage, id.uuid());
    Ok(Answer::json(&shape::to_wire(&base))?.about(Kind::BaseImage, id.uuid()))
}
