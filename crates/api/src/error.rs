//! The body of every failing answer (decision 10).

use dispatch_model::ErrorCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `{code, message, error?, faults?}`. `code` and the first line of `message` are v0.1.22's wherever it had the check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    pub code: i64,
    pub message: String,
    /// Our own code, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<String>)]
    pub error: Option<ErrorCode>,
    /// Everything that is wrong with the request, when it is more than one thing or has a place.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// A JSON pointer into what was sent, such as `/storage`.
    pub path: String,
    /// A fragment that fits after the path: `"10GB" is not an integer`.
    pub message: String,
}
