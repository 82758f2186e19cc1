//! The one closed list of ways in which a request can fail, with what each means to a program.

use serde::{Deserialize, Serialize};

/// Why a request was refused. In words on the wire (`error`), a page each in docs/errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The body is not JSON, or not the JSON that the operation takes.
    MalformedBody,
    /// A tag filter, query or reference that the first Dispatch answered with 400.
    BadRequest,
    /// Neither a cookie nor an Authorization header that we know.
    Unauthenticated,
    /// Known, but not allowed.
    Forbidden,
    NotFound,
    MethodNotAllowed,
    /// The body came too slowly.
    RequestTimeout,
    AlreadyExists,
    /// Somebody changed the object meanwhile, or something else stands in the way.
    Conflict,
    /// It is used by what is named in the message.
    InUse,
    PayloadTooLarge,
    UnsupportedMediaType,
    /// A required field, header or query is missing (v0.1.22: 602).
    Required,
    /// Wrong type or format (601).
    WrongType,
    /// Too long (603).
    TooLong,
    /// Too short (604).
    TooShort,
    /// Does not match the pattern (605).
    Pattern,
    /// Not one of the allowed values (606).
    Enum,
    /// Service parameters that do not fit the plan's schema.
    InvalidParameters,
    Internal,
    NotImplemented,
    /// The broker did not answer as it should while somebody waited for it.
    BadGateway,
    /// Too many calls are waiting, or the server is stopping.
    Unavailable,
    /// The disk is full.
    InsufficientStorage,
}

impl ErrorCode {
    pub const ALL: [Self; 24] = [
        Self::MalformedBody,
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::AlreadyExists,
        Self::Conflict,
        Self::InUse,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::Required,
        Self::WrongType,
        Self::TooLong,
        Self::TooShort,
        Self::Pattern,
        Self::Enum,
        Self::InvalidParameters,
        Self::Internal,
        Self::NotImplemented,
        Self::BadGateway,
        Self::Unavailable,
        Self::InsufficientStorage,
    ];

    /// The HTTP status of the answer.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::MalformedBody | Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::AlreadyExists | Self::Conflict | Self::InUse => 409,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Required
            | Self::WrongType
            | Self::TooLong
            | Self::TooShort
            | Self::Pattern
            | Self::Enum
            | Self::InvalidParameters => 422,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::BadGateway => 502,
            Self::Unavailable => 503,
            Self::InsufficientStorage => 507,
        }
    }

    /// `code` in the body: v0.1.22's validation codes (contract §1.3), otherwise the HTTP status.
    pub const fn body_code(self) -> i64 {
        match self {
            Self::WrongType => 601,
            Self::Required => 602,
            Self::TooLong => 603,
            Self::TooShort => 604,
            Self::Pattern => 605,
            Self::Enum => 606,
            other => other.http_status() as i64,
        }
    }

    /// `error` in the body.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedBody => "malformed_body",
            Self::BadRequest => "bad_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::InUse => "in_use",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Required => "required",
            Self::WrongType => "wrong_type",
            Self::TooLong => "too_long",
            Self::TooShort => "too_short",
            Self::Pattern => "pattern",
            Self::Enum => "enum",
            Self::InvalidParameters => "invalid_parameters",
            Self::Internal => "internal",
            Self::NotImplemented => "not_implemented",
            Self::BadGateway => "bad_gateway",
            Self::Unavailable => "unavailable",
            Self::InsufficientStorage => "insufficient_storage",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_on_the_wire_is_the_word_that_serde_writes() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
