//! `POST /v1/runs?functionName=F`: 200 with the finished run if it is blocking, even if the function failed
//! (contract §0.1); 202 otherwise.

use std::sync::Arc;

use bytes::Bytes;
use dispatch_api::run::RunInput;
use dispatch_model::{ErrorCode, Kind, Name, function::Function};
use dispatch_store::{RunState, Stored};

use super::{
    dispatcher,
    execute::{Failed, Request, execute},
    record,
};
use crate::{
    features::function::{input, project_now},
    functions::Deployment,
    http::{Answer, ApiError, Call},
};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let name = call.query("functionName").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| ApiError::bad_request("Bad Request: No function specified"))?;
    if call.body.is_empty() {
        return Err(ApiError::bad_request("Bad Request: Invalid Payload"));
    }
    let input: RunInput = call.body()?;
    let deployment = deployment(call, name).await?;
    let blocking = input.blocking;
    let request = request(call, input)?;
    if !blocking {
        let run = dispatcher::accept(&call.platform, &deployment, request, call.now).await?;
        return Ok(Answer { status: Some(202), ..Answer::json(&run)? });
    }
    let wanted = record::wanted(&deployment, &request, true, call.now);
    let ended = execute(&call.platform, &deployment, &request).await;
    if let Err(Failed::Overloaded(message)) = &ended.output {
        return Err(ApiError::new(ErrorCode::Unavailable, message.clone()));
    }
    let now = call.platform.clock.now();
    let run = record::finished(wanted, &ended, now);
    let stored = record::to_store(&run, &ended);
    let row =
        record::row(&stored, deployment.organization, RunState::Done, call.now, Some(now));
    call.platform.store.record_run(row);
    Answer::json(&run)
}

/// What calls of this function use. One that is stored and not yet in the snapshot (after a start) is put there.
async fn deployment(call: &Call, text: &str) -> Result<Arc<Deployment>, ApiError> {
    let not_found = || ApiError::not_found(Kind::Function, text);
    let name: Name = text.parse().map_err(|_| not_found())?;
    let platform = &call.platform;
    if let Some(found) = platform.functions.get(call.organization, &name) {
        return Ok(found);
    }
    let stored = platform.store.get::<Function>(&call.scope, &name).await?;
    let Some(Stored::Readable(function)) = stored else { return Err(not_found()) };
    if function.meta.deleting.is_none() {
        project_now(platform, &function).await?;
    }
    platform.functions.get(call.organization, &name).ok_or_else(|| {
        ApiError::new(ErrorCode::NotFound, format!("function {name} is not READY"))
    })
}

fn request(call: &Call, input: RunInput) -> Result<Request, ApiError> {
    let payload = input.input.map(|input| Bytes::from(Box::<str>::from(input).into_string()));
    Ok(Request {
        id: call.platform.entropy.uuid_at(call.now),
        input: payload.unwrap_or_default(),
        http_context: input.http_context,
        event: input.event,
        secrets: input::secrets(input.secrets.as_deref())?,
        services: input::services(input.services.as_deref())?,
    })
}
