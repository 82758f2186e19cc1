//! `PUT /v1/function/{name}`: a new revision, with its source. Calls go on with the previous one until it is built.

use dispatch_api::function::FunctionInput;
use dispatch_model::{Kind, function::Function};

use super::{input, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn update(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Function)?;
    let input: FunctionInput = call.body()?;
    if call::new_name(input.name.as_deref())? != name {
        return Err(ApiError::bad_request("the name in the body is not the one in the path"));
    }
    let mut function = call.find::<Function>(&name).await?;
    if function.meta.deleting.is_some() {
        return Err(ApiError::conflict(format!("function {name} is being deleted")));
    }
    let mut checked = input::check(call, &input).await?;
    let id = function.meta.id.uuid();
    let mut batch = call.batch(Kind::Function, name.as_str(), id);
    let source = checked.put_source(&mut batch);
    function.spec = checked.spec;
    function.meta.modified = call.now;
    if input.tags.is_some() {
        function.meta.tags = call::tags(input.tags)?;
    }
    let batch = batch.update_spec(&function, &[function.spec.image.uuid()], &[source]);
    call.platform.store.commit(batch).await?;
    function.meta.generation += 1;
    call.platform.wakers.wake(Kind::Function, id);
    Ok(Answer::json(&shape::to_wire(&call.platform, &function))?.about(Kind::Function, id))
}
