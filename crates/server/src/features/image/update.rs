//! `PUT /v1/image/{name}`: other dependencies. Functions that use it are built again.

use dispatch_api::image::ImageInput;
use dispatch_model::{Kind, image::Image};

use super::{input, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn update(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Image)?;
    let input: ImageInput = call.body()?;
    if call::new_name(input.name.as_deref())? != name {
        return Err(ApiError::bad_request("the name in the body is not the one in the path"));
    }
    let mut image = call.find::<Image>(&name).await?;
    image.spec = input::spec(call, &input).await?;
    image.meta.modified = call.now;
    if input.tags.is_some() {
        image.meta.tags = call::tags(input.tags)?;
    }
    let id = image.meta.id.uuid();
    let batch = call.batch(Kind::Image, name.as_str(), id).update_spec(
        &image,
        &[image.spec.base_image.uuid()],
        &[],
    );
    call.platform.store.commit(batch).await?;
    image.meta.generation += 1;
    call.platform.wakers.wake(Kind::Image, id);
    Ok(Answer::json(&shape::to_wire(&image))?.about(Kind::Image, id))
}
