//! `DELETE /v1/function/{name}`: never refused. Calls under way end; its workers end; then the name is free.

use dispatch_model::{Kind, function::Function};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Function)?;
    let mut function = call.find::<Function>(&name).await?;
    function.meta.deleting = function.meta.deleting.or(Some(call.now));
    function.meta.modified = call.now;
    let id = function.meta.id.uuid();
    let source = function.spec.source.parse().ok();
    let batch = call.batch(Kind::Function, name.as_str(), id).update_spec(
        &function,
        &[function.spec.image.uuid()],
        source.as_slice(),
    );
    call.platform.store.commit(batch).await?;
    function.meta.generation += 1;
    // From now on there is no such function for new calls.
    call.platform.functions.remove(function.meta.id);
    call.platform.wakers.wake(Kind::Function, id);
    Ok(Answer::json(&shape::to_wire(&call.platform, &function))?.about(Kind::Function, id))
}
