//! `PUT /v1/api/{name}`: served in its new form when this is answered.

use dispatch_api::api::ApiInput;
use dispatch_model::{Kind, api::Api};

use super::{input, project, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn update(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Api)?;
    let input: ApiInput = call.body()?;
    if call::new_name(input.name.as_deref())? != name {
        return Err(ApiError::bad_request("the name in the body is not the one in the path"));
    }
    let mut api = call.find::<Api>(&name).await?;
    api.spec = input::spec(call, &input)?;
    api.meta.modified = call.now;
    if input.tags.is_some() {
        api.meta.tags = call::tags(input.tags)?;
    }
    // Nobody else's claim comes between the check and its publication.
    let turn = call.platform.publishing.lock().await;
    project::check(&call.platform, &api).await?;
    let batch =
        call.batch(Kind::Api, name.as_str(), api.meta.id.uuid()).update_spec(&api, &[], &[]);
    call.platform.store.commit(batch).await?;
    project::publish_in_turn(&call.platform, &turn).await?;
    Answer::json(&shape::to_wire(&api))
}
