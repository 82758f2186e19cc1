//! `?wait=SECONDS`: hold the answer until the object has settled (decision 9). Nothing polls: it stands on the
//! store's change feed.

use std::time::Duration;

use dispatch_api::{Method, Operation, routes};
use dispatch_model::ErrorCode;
use jiff::SignedDuration;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use crate::{
    features,
    http::{Answer, ApiError, Call},
};

const SECONDS_MAX: u64 = 300;

/// How far an object is.
#[derive(Debug)]
pub enum Settling {
    /// READY or ERROR for what was asked last, or gone. `None`: gone.
    Settled(Option<Vec<u8>>),
    /// Not yet; a change of one of these ids is worth another look.
    Waiting { body: Vec<u8>, on: Vec<Uuid> },
}

/// What the request asks for.
pub(super) fn seconds(call: &Call) -> Result<u64, ApiError> {
    let default = if call.operation == Operation::CreateServiceBroker { 30 } else { 0 };
    let Some(text) = call.query("wait") else { return Ok(default) };
    let seconds = text.parse().ok().filter(|seconds| *seconds <= SECONDS_MAX);
    seconds.ok_or_else(|| {
        ApiError::new(
            ErrorCode::WrongType,
            format!("wait in query must be a number of seconds from 0 to {SECONDS_MAX}: {text:?}"),
        )
    })
}

/// The answer as it is when the object has settled, or when the time is over (`false`).
pub(super) async fn settle(
    call: &Call,
    answer: Answer,
    seconds: u64,
) -> Result<(Answer, bool), ApiError> {
    let Some(awaited) = answer.object.filter(|_| seconds > 0) else { return Ok((answer, true)) };
    let platform = &call.platform;
    let mut changes = platform.store.watch();
    let span = SignedDuration::try_from(Duration::from_secs(seconds)).unwrap_or_default();
    let until = call.now.saturating_add(span).unwrap_or(call.now);
    let mut over = platform.clock.sleep_until(until);
    loop {
        let (body, on) = match features::settling(platform, &call.scope, awaited).await? {
            // Whoever only looks is told so; whoever deleted it has got what was asked for.
            Settling::Settled(None) if routes::of(call.operation).method == Method::Get => {
                return Err(ApiError::not_found(awaited.kind, call.path_parameter()));
            }
            Settling::Settled(None) => return Ok((answer, true)),
            Settling::Settled(Some(body)) => {
                return Ok((Answer { body: Some(body), ..answer }, true));
            }
            Settling::Waiting { body, on } => (body, on),
        };
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(change) if on.contains(&change.id) => break,
                    Ok(_) => {}
                    // Some were missed: look again. The feed ends when the server does.
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return Ok((Answer { body: Some(body), ..answer }, false)),
                },
                () = &mut over => return Ok((Answer { body: Some(body), ..answer }, false)),
                () = platform.stopping.cancelled() => {
                    return Ok((Answer { body: Some(body), ..answer }, false));
                }
            }
        }
    }
}

impl Settling {
    pub fn of(
        settled: bool,
        wire: &impl serde::Serialize,
        on: Vec<Uuid>,
    ) -> Result<Self, ApiError> {
        let body = Answer::json(wire)?.body.unwrap_or_default();
        Ok(if settled { Self::Settled(Some(body)) } else { Self::Waiting { body, on } })
    }
}
