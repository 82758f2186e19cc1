//! `DELETE /v1/api/{name}`: not served any more when this is answered.

use dispatch_model::{Kind, Phase, api::Api};

use super::{project, shape};
use crate::http::{Answer, ApiError, Call};

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Api)?;
    let api = call.find::<Api>(&name).await?;
    let batch = call.batch(Kind::Api, name.as_str(), api.meta.id.uuid()).delete(&api);
    call.platform.store.commit(batch).await?;
    project::publish(&call.platform).await?;
    let mut wire = shape::to_wire(&api);
    wire.status = Phase::Deleting.as_str().to_owned();
    Answer::json(&wire)
}
