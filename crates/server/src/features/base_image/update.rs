//! `PUT /v1/baseimage/{name}`: another interpreter. What stands on it is built again.

use dispatch_api::base_image::BaseImageInput;
use dispatch_model::{Kind, base_image::BaseImage};

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn update(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::BaseImage)?;
    let input: BaseImageInput = call.body()?;
    if call::new_name(input.name.as_deref())? != name {
        return Err(ApiError::bad_request("the name in the body is not the one in the path"));
    }
    let mut base = call.find::<BaseImage>(&name).await?;
    base.spec = shape::spec(call, &input)?;
    base.meta.modified = call.now;
    if input.tags.is_some() {
        base.meta.tags = call::tags(input.tags)?;
    }
    let id = base.meta.id.uuid();
    let batch = call.batch(Kind::BaseImage, name.as_str(), id).update_spec(&base, &[], &[]);
    call.platform.store.commit(batch).await?;
    base.meta.generation += 1;
    call.platform.wakers.wake(Kind::BaseImage, id);
    Ok(Answer::json(&shape::to_wire(&base))?.about(Kind::BaseImage, id))
}
