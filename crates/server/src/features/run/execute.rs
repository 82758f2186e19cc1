//! One call, from a deployment and an input to its end: check, give, call, check.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use dispatch_api::{
    Fault,
    run::{Logs, RunError},
};
use dispatch_model::{Name, function::ServiceUse};
use dispatch_runtime::{
    frame::FailureKind,
    pool::{Begin, Call, CallError},
};
use dispatch_store::ReadError;
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    call_context::{self, CallContext},
    features::function::look_for_layers,
    functions::Deployment,
    platform::Platform,
    schema::Schema,
    time,
};

/// Times that the context is made again because credentials changed under it.
const SUPERSEDED_MAX: usize = 5;

/// What a caller asks for.
#[derive(Default)]
pub struct Request {
    pub id: Uuid,
    /// One JSON value, well-formed; empty for none.
    pub input: Bytes,
    pub http_context: Option<Map<String, Value>>,
    pub event: Option<Value>,
    /// Besides the function's own.
    pub secrets: Vec<Name>,
    pub services: Vec<ServiceUse>,
}

impl fmt::Debug for Request {
    /// Without what it carries: credentials and people's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("input_bytes", &self.input.len())
            .field("secrets", &self.secrets)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// The JSON text that the function returned.
    pub output: Result<Bytes, Failed>,
    pub logs: Option<Logs>,
    pub context: Option<Arc<CallContext>>,
}

#[derive(Debug)]
pub enum Failed {
    /// In the contract's form.
    Error(RunError),
    TimedOut(RunError),
    /// 503: nothing was executed.
    Overloaded(String),
}

/// Runs it; if `begin` says so, once there is a worker. Dropping the future leaves the call to go on and the worker to
/// its pool.
pub async fn execute(
    platform: &Platform,
    deployment: &Deployment,
    request: &Request,
    begin: Option<&Begin<'_>>,
) -> Ended {
    if let Some(schema) = &deployment.input
        && let Some(faults) = faults(schema, &request.input).await
    {
        let error = failure("InputError", format!("Input invalid against schema: {faults}"));
        return Ended { output: Err(Failed::Error(error)), logs: None, context: None };
    }
    let mut tries = 0;
    loop {
        let given = match given(platform, deployment, request).await {
            Ok(given) => given,
            Err(error) => {
                return Ended { output: Err(Failed::Error(error)), logs: None, context: None };
            }
        };
        let call = call(platform, deployment, request, &given);
        match platform.workers.pools.call_when(deployment.id.uuid(), &call, begin).await {
            Err(CallError::Superseded { .. }) if tries < SUPERSEDED_MAX => {
                tries += 1;
                deployment.context.clear();
            }
            outcome => {
                if let Err(CallError::StartFailed { .. }) = outcome {
                    look_for_layers(platform, deployment);
                }
                return ended(deployment, outcome, given).await;
            }
        }
    }
}

async fn ended(
    deployment: &Deployment,
    outcome: Result<dispatch_runtime::pool::Answer, CallError>,
    given: Arc<CallContext>,
) -> Ended {
    let context = Some(given);
    match outcome {
        Err(error) => Ended { output: Err(not_called(error)), logs: None, context },
        Ok(answer) => {
            let list = |lines: Vec<String>| (!lines.is_empty()).then_some(lines);
            let logs =
                Some(Logs { stderr: list(answer.logs.stderr), stdout: list(answer.logs.stdout) });
            let output = match answer.result {
                Ok(output) => fitting(deployment, output).await,
                Err(_) if answer.cut_off => {
                    Err(Failed::Error(failure("SystemError", CUT_OFF.to_owned())))
                }
                Err(failed) => {
                    let stacktrace = (!failed.stacktrace.is_empty()).then_some(failed.stacktrace);
                    let kind = match failed.kind {
                        FailureKind::InputError => "InputError",
                        FailureKind::FunctionError => "FunctionError",
                    };
                    let kind = kind.to_owned();
                    let timed_out = failed.message == TIMED_OUT;
                    let error = RunError { message: failed.message, stacktrace, kind };
                    Err(if timed_out { Failed::TimedOut(error) } else { Failed::Error(error) })
                }
            };
            Ended { output, logs, context }
        }
    }
}

async fn fitting(deployment: &Deployment, output: Bytes) -> Result<Bytes, Failed> {
    let faults = match &deployment.output {
        Some(schema) => faults(schema, &output).await,
        None => None,
    };
    let message = |faults| format!("Output invalid against schema: {faults}");
    match faults {
        None => Ok(output),
        Some(faults) => Err(Failed::Error(failure("FunctionError", message(faults)))),
    }
}

/// The message of a run that had not ended when the server did (decision 15).
pub(super) const CUT_OFF: &str = "the server stopped during the run";

/// The message of a call that took too long (contract §4.4).
const TIMED_OUT: &str = "Function execution exceeded the timeout";

fn not_called(error: CallError) -> Failed {
    match error {
        CallError::Overloaded { .. }
        | CallError::WaitedTooLong { .. }
        | CallError::BackingOff { .. } => Failed::Overloaded(error.to_string()),
        CallError::TooLarge(_) => Failed::Error(failure("InputError", error.to_string())),
        error => Failed::Error(failure("SystemError", error.to_string())),
    }
}

fn failure(kind: &str, message: String) -> RunError {
    RunError { message, stacktrace: None, kind: kind.to_owned() }
}

/// `None` if the text fits the schema.
async fn faults(schema: &Arc<Schema>, text: &Bytes) -> Option<String> {
    let faults = schema.faults_of(text).await;
    let words = |fault: &Fault| match fault.message.as_str() {
        message if message.starts_with("is ") => format!("{} {message}", fault.path),
        message if fault.path.is_empty() => message.to_owned(),
        message => format!("{}: {message}", fault.path),
    };
    let all = faults.iter().map(words).collect::<Vec<_>>().join(" · ");
    (!faults.is_empty()).then_some(all)
}

/// The function's own context, or one made for this run when it asks for more.
async fn given(
    platform: &Platform,
    deployment: &Deployment,
    request: &Request,
) -> Result<Arc<CallContext>, RunError> {
    let own = request.secrets.is_empty() && request.services.is_empty();
    let reading = match own.then(|| deployment.context.get()) {
        Some(Ok(known)) => return Ok(known),
        Some(Err(reading)) => Some(reading),
        None => None,
    };
    let deployed = &deployment.deployed;
    let secrets: Vec<Name> = deployed.secrets.iter().chain(&request.secrets).cloned().collect();
    let services: Vec<ServiceUse> =
        deployed.services.iter().chain(&request.services).cloned().collect();
    let scope = platform.system.organization(deployment.organization);
    let unreadable = |error: ReadError| {
        tracing::error!(function = %deployment.name, %error, "a call's secrets cannot be read");
        failure("SystemError", "the secrets of the call cannot be read".to_owned())
    };
    let loaded =
        call_context::load(platform, &scope, &secrets, &services).await.map_err(unreadable)?;
    let loaded = loaded.map_err(|missing| failure("InputError", missing.0))?;
    let loaded = Arc::new(loaded);
    if let Some(reading) = reading {
        deployment.context.put(reading, Arc::clone(&loaded));
    }
    Ok(loaded)
}

fn call(
    platform: &Platform,
    deployment: &Deployment,
    request: &Request,
    given: &CallContext,
) -> Call {
    let timeout = deployment.timeout();
    let deadline = time::after(platform.clock.now(), timeout);
    let mut context = format!(
        "{{{},\"timeout\":{},\"deadline\":\"{}\"",
        given.members.as_str(),
        timeout.as_millis(),
        rfc_3339(deadline),
    );
    if let Some(http) = &request.http_context
        && let Ok(text) = serde_json::to_string(http)
    {
        context.push_str(",\"httpContext\":");
        context.push_str(&text);
    }
    if let Some(event) = &request.event {
        context.push_str(&format!(",\"event\":{event}"));
    }
    context.push('}');
    Call {
        id: request.id,
        timeout,
        context: Bytes::from(context),
        payload: request.input.clone(),
        bindings: Arc::clone(&given.bindings),
        endpoints: Arc::clone(&given.endpoints),
    }
}

fn rfc_3339(at: Timestamp) -> String {
    at.to_string()
}

#[cfg(test)]
mod tests {
    use dispatch_api::Operation;
    use dispatch_model::Id;

    use super::*;
    use crate::testing::TestServer;

    #[tokio::test]
    async fn debug_shows_no_body_input_or_header() {
        let server = TestServer::start().await;
        let platform = Arc::clone(server.running.platform());
        let organization = Id::from_uuid(Uuid::nil());
        let call = crate::http::Call {
            operation: Operation::CreateSecret,
            scope: platform.system.organization(organization),
            organization,
            organization_name: "dispatch".parse().unwrap(),
            actor: "admin".to_owned(),
            source: None,
            request_id: Uuid::nil(),
            now: Timestamp::UNIX_EPOCH,
            path: Vec::new(),
            query: Vec::new(),
            body: Bytes::from_static(b"hunter2"),
            platform,
        };
        let mut http_context = Map::new();
        http_context.insert("authorization".to_owned(), "hunter2".into());
        let request = Request {
            input: Bytes::from_static(b"hunter2"),
            http_context: Some(http_context),
            event: Some("hunter2".into()),
            ..Request::default()
        };
        for text in [format!("{call:?}"), format!("{request:?}")] {
            assert!(!text.contains("hunter2") && text.contains("bytes: 7"), "{text}");
        }
        drop(call);
        server.finish().await;
    }
}
