//! `POST /v1/image`: 201. The controller builds it.

use dispatch_api::image::ImageInput;
use dispatch_model::{
    Id, Kind, Object,
    image::{Image, Status},
    object::Meta,
};

use super::{input, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let input: ImageInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let spec = input::spec(call, &input).await?;
    let id: Id<Image> = Id::from_uuid(call.platform.entropy.uuid());
    let image = Object {
        meta: Meta::new(id, call.organization, name, call.now, call::tags(input.tags)?),
        spec,
        status: Status::default(),
    };
    let batch = call.batch(Kind::Image, image.meta.name.as_str(), id.uuid()).create(
        &image,
        &[image.spec.base_image.uuid()],
        &[],
    );
    call.platform.store.commit(batch).await?;
    call.platform.wakers.wake(Kind::Image, id.uuid());
    Ok(Answer::json(&shape::to_wire(&image))?.about(Kind::Image, id.uuid()))
}
