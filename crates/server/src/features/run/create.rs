//! `POST /v1/runs?functionName=F`: 200 with the finished run if it is blocking, even if the function failed
//! (contract §0.1); 202 otherwise.

use std::sync::Arc;

use bytes::Bytes;
use dispatch_api::run::RunInput;
use dispatch_model::{ErrorCode, Kind, Name};
use dispatch_runtime::frame::MAX_PAYLOAD_BYTES;

use super::{
    blocking::{self, NotCallable},
    dispatcher,
    execute::{Failed, Request},
};
use crate::{
    features::function::input,
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
    if input.input.as_ref().is_some_and(|input| input.get().len() > MAX_PAYLOAD_BYTES) {
        let message = format!("the input is larger than {MAX_PAYLOAD_BYTES} bytes");
        return Err(ApiError::new(ErrorCode::PayloadTooLarge, message));
    }
    let deployment = deployment(call, name).await?;
    let is_blocking = input.blocking;
    let request = request(call, input)?;
    if !is_blocking {
        let batch = call.batch(Kind::Function, deployment.name.as_str(), deployment.id.uuid());
        let run = dispatcher::accept(&call.platform, &deployment, request, call.now, batch).await?;
        return Ok(Answer { status: Some(202), ..Answer::json(&run)? });
    }
    let (run, ended) = blocking::run(&call.platform, &deployment, &request, call.now).await;
    if let Err(Failed::Overloaded(message)) = ended.output {
        return Err(ApiError::new(ErrorCode::Unavailable, message));
    }
    Answer::json(&run)
}

async fn deployment(call: &Call, text: &str) -> Result<Arc<Deployment>, ApiError> {
    let not_found = || ApiError::not_found(Kind::Function, text);
    let name: Name = text.parse().map_err(|_| not_found())?;
    blocking::find(&call.platform, call.organization, &name).await.map_err(|why| match why {
        NotCallable::NotFound => not_found(),
        NotCallable::NotReady => {
            ApiError::new(ErrorCode::NotFound, format!("function {name} is not READY"))
        }
        NotCallable::Unreadable(error) => error.into(),
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
