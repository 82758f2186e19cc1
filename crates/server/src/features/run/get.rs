//! `GET /v1/runs/{uuid}`.

use dispatch_model::{ErrorCode, function::Function};
use dispatch_store::RunRecord;
use uuid::Uuid;

use crate::http::{Answer, ApiError, Call};

pub async fn get(call: &Call) -> Result<Answer, ApiError> {
    let text = call.path_parameter();
    let id = Uuid::parse_str(text).map_err(|_| {
        ApiError::new(
            ErrorCode::WrongType,
            format!("runName in path must be of type uuid: {text:?}"),
        )
    })?;
    // The first Dispatch printed an empty name here (contract §1.3).
    let not_found = || ApiError::new(ErrorCode::NotFound, "function run  not found");
    let found = call.platform.store.run(&call.scope, id).await?.ok_or_else(not_found)?;
    let passes = super::list::since(call)?.is_none_or(|since| found.created >= since)
        && is_of_function(call, &found).await?;
    if !passes {
        return Err(not_found());
    }
    Ok(Answer { body: Some(found.body.into_bytes()), ..Answer::empty() })
}

async fn is_of_function(call: &Call, run: &RunRecord) -> Result<bool, ApiError> {
    let Some(name) = call.query("functionName").filter(|name| !name.is_empty()) else {
        return Ok(true);
    };
    let Ok(name) = name.parse() else { return Ok(false) };
    let function = call.platform.store.get::<Function>(&call.scope, &name).await?;
    Ok(function.is_some_and(|function| function.meta().id.uuid() == run.function))
}
