//! `POST /v1/function`: records the function and its source. The controller builds it.

use dispatch_api::function::FunctionInput;
use dispatch_model::{
    Id, Kind, Object,
    function::{Function, Status},
    object::Meta,
};

use super::{input, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let input: FunctionInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let mut checked = input::check(call, &input).await?;
    let id: Id<Function> = Id::from_uuid(call.platform.entropy.uuid());
    let mut batch = call.batch(Kind::Function, name.as_str(), id.uuid());
    let source = checked.put_source(&mut batch);
    let function = Object {
        meta: Meta::new(id, call.organization, name, call.now, call::tags(input.tags)?),
        spec: checked.spec,
        status: Status::default(),
    };
    let batch = batch.create(&function, &[function.spec.image.uuid()], &[source]);
    call.platform.store.commit(batch).await?;
    call.platform.functions.made(call.organization, &function.meta.name);
    call.platform.wakers.wake(Kind::Function, id.uuid());
    Ok(Answer::json(&shape::to_wire(&call.platform, &function))?.about(Kind::Function, id.uuid()))
}
