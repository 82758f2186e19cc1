//! `DELETE /v1/baseimage/{name}`: never refused; images go on with what they hold (decision 12). `?ifUnused=true` is
//! answered 409 with the images that use it.

use dispatch_model::{ErrorCode, Kind, base_image::BaseImage, image::Image};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::BaseImage)?;
    let base = call.find::<BaseImage>(&name).await?;
    let id = base.meta.id.uuid();
    let users = call.platform.store.list_referring::<Image>(&call.scope, id).await?;
    if call.flag("ifUnused")? && !users.is_empty() {
        let users: Vec<&str> = users.iter().map(|user| user.meta().name.as_str()).collect();
        let message = format!("base image {name} is used by {}", users.join(", "));
        return Err(ApiError::new(ErrorCode::InUse, message));
    }
    let batch = call.batch(Kind::BaseImage, name.as_str(), id).delete(&base);
    call.platform.store.commit(batch).await?;
    // Those that wait for it wait in vain.
    for user in users {
        call.platform.wakers.wake(Kind::Image, user.meta().id.uuid());
    }
    Answer::json(&shape::to_wire(&base))
}
