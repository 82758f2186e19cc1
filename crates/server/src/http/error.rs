//! A refused request: what happened, to which object, why, and what to do next. Never internal text, never a secret.

use axum::response::{IntoResponse, Response};
use dispatch_api::{ErrorBody, Fault};
use dispatch_model::{ErrorCode, Kind, name::NameError};
use dispatch_store::{CommitError, ReadError};

/// What a handler answers instead of success.
#[derive(Debug)]
pub struct ApiError {
    pub code: ErrorCode,
    pub message: String,
    pub faults: Vec<Fault>,
    /// Methods for `Allow`, with `MethodNotAllowed`.
    pub allow: Option<String>,
}

impl ApiError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), faults: Vec::new(), allow: None }
    }

    pub fn with_faults(mut self, faults: Vec<Fault>) -> Self {
        self.faults = faults;
        self
    }

    pub fn not_found(kind: Kind, name: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("{} {name} not found", kind.noun()))
    }

    pub fn already_exists(kind: Kind, name: &str) -> Self {
        Self::new(ErrorCode::AlreadyExists, format!("{} {name} already exists", kind.noun()))
    }

    pub fn required(field: &str) -> Self {
        Self::new(ErrorCode::Required, format!("{field} in body is required"))
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }
}

const STALE: &str = "it was changed by somebody else at the same time; read it again and repeat";

impl From<NameError> for ApiError {
    fn from(error: NameError) -> Self {
        let code = match error {
            NameError::Empty => ErrorCode::Required,
            NameError::Pattern => ErrorCode::Pattern,
            NameError::TooLong { .. } => ErrorCode::TooLong,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "a read from the store failed");
        Self::new(ErrorCode::Internal, "the store cannot be read; the server's log says why")
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Exists { kind, name } => Self::already_exists(kind, name.as_str()),
            CommitError::Stale { .. } | CommitError::Referred { .. } => Self::conflict(STALE),
            CommitError::Gone { kind, .. } => {
                Self::new(ErrorCode::NotFound, format!("{} not found", kind.noun()))
            }
            CommitError::TooLarge { .. } => {
                Self::new(ErrorCode::PayloadTooLarge, error.to_string())
            }
            CommitError::DiskFull { .. } => Self::new(
                ErrorCode::InsufficientStorage,
                format!("{error}; nothing was changed. Reads go on; make room and repeat"),
            ),
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "a write failed");
                Self::new(
                    ErrorCode::Internal,
                    "the store cannot be written; nothing was changed. The server's log says why",
                )
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            code: self.code.body_code(),
            message: self.message,
            error: Some(self.code),
            faults: self.faults,
        };
        let status = http::StatusCode::from_u16(self.code.http_status())
            .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(body)).into_response();
        let allow = self.allow.and_then(|text| http::HeaderValue::from_str(&text).ok());
        if let Some(allow) = allow {
            response.headers_mut().insert(http::header::ALLOW, allow);
        }
        if self.code == ErrorCode::RequestTimeout {
            // The rest of the body may still come.
            let close = http::HeaderValue::from_static("close");
            response.headers_mut().insert(http::header::CONNECTION, close);
        }
        if self.code == ErrorCode::Unavailable {
            let second = http::HeaderValue::from_static("1");
            response.headers_mut().insert(http::header::RETRY_AFTER, second);
        }
        response
    }
}
