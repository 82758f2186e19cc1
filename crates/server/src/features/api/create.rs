//! `POST /v1/api`: 200, as in v0.1.22. It is served when this is answered.

use dispatch_api::api::ApiInput;
use dispatch_model::{
    Id, Kind, Object,
    api::Api,
    object::{Meta, NoStatus},
};

use super::{input, project, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let input: ApiInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let spec = input::spec(call, &input)?;
    let id: Id<Api> = Id::from_uuid(call.platform.entropy.uuid());
    let api = Object {
        meta: Meta::new(id, call.organization, name, call.now, call::tags(input.tags)?),
        spec,
        status: NoStatus {},
    };
    if call.platform.store.get::<Api>(&call.scope, &api.meta.name).await?.is_some() {
        return Err(ApiError::already_exists(Kind::Api, api.meta.name.as_str()));
    }
    // Nobody else's claim comes between the check and its publication.
    let turn = call.platform.publishing.lock().await;
    project::check(&call.platform, &api).await?;
    let batch = call.batch(Kind::Api, api.meta.name.as_str(), id.uuid()).create(&api, &[], &[]);
    call.platform.store.commit(batch).await?;
    project::publish_in_turn(&call.platform, &turn).await?;
    Answer::json(&shape::to_wire(&api))
}
