//! `GET /v1/runs`: newest first. By name one sees the present function's runs (decision 15).

use dispatch_model::{ErrorCode, function::Function};
use dispatch_store::RunFilter;
use jiff::Timestamp;

use crate::http::{Answer, ApiError, Call};

pub async fn list(call: &Call) -> Result<Answer, ApiError> {
    call.tag_filter()?;
    let mut function = None;
    if let Some(name) = call.query("functionName").filter(|name| !name.is_empty()) {
        let found = match name.parse() {
            Ok(name) => call.platform.store.get::<Function>(&call.scope, &name).await?,
            Err(_) => None,
        };
        match found {
            Some(stored) => function = Some(stored.meta().id.uuid()),
            None => return Answer::json(&Vec::<()>::new()),
        }
    }
    let filter = RunFilter { function, since: since(call)?, ..RunFilter::default() };
    let page = call.platform.store.runs(&call.scope, &filter).await?;
    let mut text = b"[".to_vec();
    for run in page.runs {
        if text.len() > 1 {
            text.push(b',');
        }
        text.extend_from_slice(run.body.as_bytes());
    }
    text.push(b']');
    Ok(Answer { body: Some(text), truncated: page.more, ..Answer::empty() })
}

/// `?since`, in Unix seconds; may be negative.
pub(super) fn since(call: &Call) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = call.query("since") else { return Ok(None) };
    let seconds: i64 = text.parse().map_err(|_| {
        ApiError::new(
            ErrorCode::WrongType,
            format!("since in query must be of type int64: {text:?}"),
        )
    })?;
    // What is before the beginning of our times is everything.
    Ok(Timestamp::from_second(seconds).ok().filter(|since| since.as_second() > 0))
}
