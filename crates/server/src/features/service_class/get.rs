//! `GET /v1/serviceclass/{name}`.

use dispatch_model::Kind;

use super::{Which, find_class, shape};
use crate::http::{Answer, ApiError, Call};

pub async fn get(call: &Call) -> Result<Answer, ApiError> {
    let name = call.path_parameter();
    let which = Which { name: Some(name), id: None, broker: call.query("broker") };
    let found = find_class(&call.platform, &call.scope, which, false).await?;
    let offering = found.ok_or_else(|| ApiError::not_found(Kind::ServiceClass, name))?;
    Answer::json(&shape::to_wire(&offering))
}
