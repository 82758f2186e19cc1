//! What a handler answers when all is well, and what the answer may have to wait for.

use axum::response::{IntoResponse, Response};
use dispatch_api::TRUNCATED_HEADER;
use dispatch_model::Kind;
use serde::Serialize;
use uuid::Uuid;

use crate::http::ApiError;

/// Success: the body, and the object that `?wait` waits for.
#[derive(Debug)]
pub struct Answer {
    /// `None` for an empty body (204).
    pub body: Option<Vec<u8>>,
    /// Other than the table's status; used where one operation has two.
    pub status: Option<u16>,
    pub object: Option<Awaited>,
    /// A list that does not hold all there is.
    pub truncated: bool,
}

/// The object whose settling `?wait` waits for (decision 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaited {
    pub kind: Kind,
    pub id: Uuid,
}

impl Answer {
    pub fn json(body: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(body).map_err(|error| {
            tracing::error!(%error, "an answer could not be written as JSON");
            ApiError::new(dispatch_model::ErrorCode::Internal, "the answer cannot be written")
        })?;
        Ok(Self { body: Some(body), ..Self::empty() })
    }

    pub const fn empty() -> Self {
        Self { body: None, status: None, object: None, truncated: false }
    }

    pub const fn about(mut self, kind: Kind, id: Uuid) -> Self {
        self.object = Some(Awaited { kind, id });
        self
    }

    pub fn into_response(self, success: u16) -> Response {
        let status = http::StatusCode::from_u16(self.status.unwrap_or(success))
            .unwrap_or(http::StatusCode::OK);
        let mut response = match self.body {
            None => status.into_response(),
            Some(body) => {
                let json = http::HeaderValue::from_static("application/json");
                (status, [(http::header::CONTENT_TYPE, json)], body).into_response()
            }
        };
        if self.truncated {
            let yes = http::HeaderValue::from_static("true");
            response.headers_mut().insert(TRUNCATED_HEADER, yes);
        }
        response
    }
}
