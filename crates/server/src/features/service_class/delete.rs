//! `DELETE /v1/serviceclass/{name}`: takes a class from the organization. Instances of it live on.

use dispatch_model::Kind;

use super::{Which, decision::decide, find_class, shape};
use crate::http::{Answer, ApiError, Call};

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.path_parameter().to_owned();
    let which = Which { name: Some(&name), id: None, broker: call.query("broker") };
    let find = || async {
        let found = find_class(&call.platform, &call.scope, which, false).await?;
        found.ok_or_else(|| ApiError::not_found(Kind::ServiceClass, &name))
    };
    let offering = decide(call, find, |_, decision| {
        decision.enabled = Some(false);
        Ok(())
    })
    .await?;
    Answer::json(&shape::to_wire(&offering))
}
