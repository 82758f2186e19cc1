//! Typed answers and failures as HTTP.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde::Serialize;
use serde_json::json;

use super::answer::{Bound, Progress, Provisioned, Removed, Updated};
use super::failure::Failure;

impl IntoResponse for Provisioned {
    fn into_response(self) -> Response {
        match self {
            Self::Created(answer) => with(StatusCode::CREATED, &answer),
            Self::Exists(answer) => with(StatusCode::OK, &answer),
            Self::Accepted(answer) => with(StatusCode::ACCEPTED, &answer),
        }
    }
}

impl IntoResponse for Updated {
    fn into_response(self) -> Response {
        match self {
            Self::Done(answer) => with(StatusCode::OK, &answer),
            Self::Accepted(answer) => with(StatusCode::ACCEPTED, &answer),
        }
    }
}

impl IntoResponse for Bound {
    fn into_response(self) -> Response {
        match self {
            Self::Created(answer) => with(StatusCode::CREATED, &answer),
            Self::Exists(answer) => with(StatusCode::OK, &answer),
            Self::Accepted { operation } => accepted(operation),
        }
    }
}

impl IntoResponse for Removed {
    fn into_response(self) -> Response {
        match self {
            Self::Done => with(StatusCode::OK, &json!({})),
            Self::Accepted { operation } => accepted(operation),
        }
    }
}

impl IntoResponse for Progress {
    fn into_response(self) -> Response {
        retry_after(with(StatusCode::OK, &self.last), self.retry_after)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        retry_after(with(self.status(), &self.body()), self.retry_after)
    }
}

/// A JSON body under a status.
pub(super) fn with(status: StatusCode, body: &impl Serialize) -> Response {
    (status, Json(body)).into_response()
}

fn accepted(operation: Option<String>) -> Response {
    with(StatusCode::ACCEPTED, &crate::types::RemoveAnswer { operation })
}

fn retry_after(mut response: Response, after: Option<Duration>) -> Response {
    if let Some(after) = after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
