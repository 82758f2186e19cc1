//! `DELETE /v1/image/{name}`: never refused; functions hold their layers by digest and go on (decision 12).
//! `?ifUnused=true` is answered 409 with the functions that use it.

use dispatch_model::{ErrorCode, Kind, Phase, function::Function, image::Image};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Image)?;
    let image = call.find::<Image>(&name).await?;
    let id = image.meta.id.uuid();
    let users = call.platform.store.list_referring::<Function>(&call.scope, id).await?;
    if call.flag("ifUnused")? && !users.is_empty() {
        let users: Vec<&str> = users.iter().map(|user| user.meta().name.as_str()).collect();
        let message = format!("image {name} is used by {}", users.join(", "));
        return Err(ApiError::new(ErrorCode::InUse, message));
    }
    let batch = call.batch(Kind::Image, name.as_str(), id).delete(&image);
    call.platform.store.commit(batch).await?;
    // Its build is cancelled, and functions that wait for it wait in vain.
    call.platform.wakers.wake(Kind::Image, id);
    for user in users {
        call.platform.wakers.wake(Kind::Function, user.meta().id.uuid());
    }
    let mut wire = shape::to_wire(&image);
    wire.status = Phase::Deleted.as_str().to_owned();
    Answer::json(&wire)
}
