//! What a broker answers when it refuses or fails: a status, a code, words for the user.

use std::time::Duration;

use http::StatusCode;

use crate::types::{ErrorBody, ErrorCode};

/// A refusal or failure. The description is shown to users: no secret belongs in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Failure {
    pub kind: FailureKind,
    pub description: Option<String>,
    /// After a failed update or deprovision: whether the instance can still be used.
    pub instance_usable: Option<bool>,
    /// After a failed update: whether the same update makes sense again.
    pub update_repeatable: Option<bool>,
    /// When to come back, sent in whole seconds, rounded up.
    pub retry_after: Option<Duration>,
}

/// The statuses and codes of the specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureKind {
    /// 400: malformed, or missing what is required.
    BadRequest,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 409: the id is in use with other attributes.
    Conflict,
    /// 410: it does not exist.
    Gone,
    /// 422 `AsyncRequired`: this can only be done asynchronously.
    AsyncRequired,
    /// 422 `ConcurrencyError`: another operation is under way; nothing was changed.
    ConcurrencyError,
    /// 422 `RequiresApp`: the binding needs an `app_guid`.
    RequiresApp,
    /// 422 `MaintenanceInfoConflict`: the maintenance version is not the catalogue's.
    MaintenanceInfoConflict,
    /// 422 with a code of the broker's own, or none.
    Unprocessable { code: Option<String> },
    /// 429
    TooManyRequests,
    /// 500: something may have happened.
    Internal,
    /// 503: not now.
    Unavailable,
}

impl Failure {
    fn new(kind: FailureKind, description: Option<String>) -> Self {
        Self {
            kind,
            description,
            instance_usable: None,
            update_repeatable: None,
            retry_after: None,
        }
    }

    /// 400
    pub fn bad_request(description: impl Into<String>) -> Self {
        Self::new(FailureKind::BadRequest, Some(description.into()))
    }

    /// 403
    pub fn forbidden(description: impl Into<String>) -> Self {
        Self::new(FailureKind::Forbidden, Some(description.into()))
    }

    /// 404
    pub fn not_found(description: impl Into<String>) -> Self {
        Self::new(FailureKind::NotFound, Some(description.into()))
    }

    /// 409
    pub fn conflict(description: impl Into<String>) -> Self {
        Self::new(FailureKind::Conflict, Some(description.into()))
    }

    /// 410
    pub fn gone() -> Self {
        Self::new(FailureKind::Gone, None)
    }

    /// 422 `AsyncRequired`
    pub fn async_required() -> Self {
        let text = "this needs a platform that waits for asynchronous operations";
        Self::new(FailureKind::AsyncRequired, Some(text.to_owned()))
    }

    /// 422 `ConcurrencyError`
    pub fn concurrency_error(description: impl Into<String>) -> Self {
        Self::new(FailureKind::ConcurrencyError, Some(description.into()))
    }

    /// 422 `RequiresApp`
    pub fn requires_app() -> Self {
        let text = "this service can only be bound to an application";
        Self::new(FailureKind::RequiresApp, Some(text.to_owned()))
    }

    /// 422 `MaintenanceInfoConflict`
    pub fn maintenance_info_conflict() -> Self {
        let text = "the maintenance version is not the one in the catalogue";
        Self::new(FailureKind::MaintenanceInfoConflict, Some(text.to_owned()))
    }

    /// 422 with a code of the broker's own, or none.
    pub fn unprocessable(code: Option<&str>, description: impl Into<String>) -> Self {
        let kind = FailureKind::Unprocessable { code: code.map(str::to_owned) };
        Self::new(kind, Some(description.into()))
    }

    /// 429
    pub fn too_many_requests(retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..Self::new(FailureKind::TooManyRequests, None) }
    }

    /// 500
    pub fn internal(description: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, Some(description.into()))
    }

    /// 503
    pub fn unavailable(description: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..Self::new(FailureKind::Unavailable, Some(description.into())) }
    }

    /// Says whether the instance can still be used after this failure.
    pub fn with_instance_usable(mut self, usable: bool) -> Self {
        self.instance_usable = Some(usable);
        self
    }

    /// Says whether the same update makes sense again.
    pub fn with_update_repeatable(mut self, repeatable: bool) -> Self {
        self.update_repeatable = Some(repeatable);
        self
    }

    /// The status with which it is answered.
    pub fn status(&self) -> StatusCode {
        match self.kind {
            FailureKind::BadRequest => StatusCode::BAD_REQUEST,
            FailureKind::Forbidden => StatusCode::FORBIDDEN,
            FailureKind::NotFound => StatusCode::NOT_FOUND,
            FailureKind::Conflict => StatusCode::CONFLICT,
            FailureKind::Gone => StatusCode::GONE,
            FailureKind::AsyncRequired
            | FailureKind::ConcurrencyError
            | FailureKind::RequiresApp
            | FailureKind::MaintenanceInfoConflict
            | FailureKind::Unprocessable { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            FailureKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            FailureKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            FailureKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The body with which it is answered.
    pub fn body(&self) -> ErrorBody {
        let code = match &self.kind {
            FailureKind::AsyncRequired => Some(ErrorCode::AsyncRequired.into()),
            FailureKind::ConcurrencyError => Some(ErrorCode::ConcurrencyError.into()),
            FailureKind::RequiresApp => Some(ErrorCode::RequiresApp.into()),
            FailureKind::MaintenanceInfoConflict => Some(ErrorCode::MaintenanceInfoConflict.into()),
            FailureKind::Unprocessable { code } => code.clone(),
            _ => None,
        };
        ErrorBody {
            error: code,
            description: self.description.clone(),
            instance_usable: self.instance_usable,
            update_repeatable: self.update_repeatable,
        }
    }

    fn text(&self) -> &str {
        self.description.as_deref().unwrap_or_else(|| {
            self.status().canonical_reason().unwrap_or("refused without a description")
        })
    }
}
