//! A run as it is shown and stored: v0.1.22's shape (contract §2.5), with a real end also for those that failed.

use bytes::Bytes;
use dispatch_api::run::{Logs, NOT_FINISHED, Run, RunError};
use dispatch_gateway::context::without_credentials;
use dispatch_model::Phase;
use dispatch_store::{RunRecord, RunState};
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::execute::{Ended, Failed, Request};
use crate::{call_context::redact, functions::Deployment};

/// A run that was asked for.
pub(super) fn wanted(
    deployment: &Deployment,
    request: &Request,
    blocking: bool,
    now: Timestamp,
) -> Run {
    let own = &deployment.deployed.secrets;
    Run {
        blocking,
        error: None,
        event: request.event.clone(),
        executed_time: now.as_second(),
        faas_id: Some(deployment.deployed.faas_id),
        finished_time: NOT_FINISHED,
        function_id: deployment.id.uuid(),
        function_name: deployment.name.to_string(),
        http_context: request.http_context.clone().map(without_credentials),
        input: raw(&request.input),
        logs: None,
        name: request.id,
        output: None,
        reason: None,
        secrets: own.iter().chain(&request.secrets).map(ToString::to_string).collect(),
        services: None,
        status: Phase::Initialized.as_str().to_owned(),
        tags: Vec::new(),
    }
}

/// A run of which only the row is known. It was non-blocking, for it has not ended.
pub(super) fn unknown(row: &RunRecord, function_name: String) -> Run {
    Run {
        blocking: false,
        error: None,
        event: None,
        executed_time: row.created.as_second(),
        faas_id: None,
        finished_time: NOT_FINISHED,
        function_id: row.function,
        function_name,
        http_context: None,
        input: None,
        logs: None,
        name: row.id,
        output: None,
        reason: None,
        secrets: Vec::new(),
        services: None,
        status: Phase::Initialized.as_str().to_owned(),
        tags: Vec::new(),
    }
}

/// The same run at its end. The caller sees what was printed as it was.
pub(super) fn finished(mut run: Run, ended: &Ended, now: Timestamp) -> Run {
    run.finished_time = now.as_second();
    run.logs.clone_from(&ended.logs);
    match &ended.output {
        Ok(output) => {
            run.status = Phase::Ready.as_str().to_owned();
            run.output = raw(output).filter(|output| output.get() != "null");
        }
        Err(failed) => {
            let error = failed.error();
            run.status = Phase::Error.as_str().to_owned();
            let name = &run.function_name;
            run.reason = Some(vec![format!("error running function: {name}: {}", error.message)]);
            run.error = Some(error);
        }
    }
    run
}

/// What of it is stored: without the values of its secrets.
pub(super) fn to_store(run: &Run, ended: &Ended) -> Run {
    let mut stored = run.clone();
    let values = ended.context.as_ref().map_or(&[][..], |context| context.values.as_slice());
    if let Some(logs) = &mut stored.logs {
        let redacted =
            |lines: &Option<Vec<String>>| lines.as_ref().map(|lines| redact::lines(lines, values));
        *logs = Logs { stderr: redacted(&logs.stderr), stdout: redacted(&logs.stdout) };
    }
    if let Some(error) = &mut stored.error {
        error.message = redact::text(&error.message, values);
        error.stacktrace = error.stacktrace.as_ref().map(|lines| redact::lines(lines, values));
    }
    stored.reason = stored.reason.map(|reason| redact::lines(&reason, values));
    stored
}

/// The row of a run in some state.
pub(super) fn row(
    run: &Run,
    organization: dispatch_model::Id<dispatch_model::organization::Organization>,
    state: RunState,
    created: Timestamp,
    finished: Option<Timestamp>,
) -> RunRecord {
    RunRecord {
        id: run.name,
        organization,
        function: run.function_id,
        state,
        created,
        finished,
        body: serde_json::to_string(run).unwrap_or_default(),
    }
}

/// JSON text that was checked, as a member of a document.
pub(super) fn raw(text: &Bytes) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.is_empty())?;
    RawValue::from_string(text.to_owned()).ok()
}

impl Failed {
    pub fn error(&self) -> RunError {
        match self {
            Self::Error(error) | Self::TimedOut(error) => error.clone(),
            Self::Overloaded(message) => RunError {
                message: message.clone(),
                stacktrace: None,
                kind: "SystemError".to_owned(),
            },
        }
    }
}
