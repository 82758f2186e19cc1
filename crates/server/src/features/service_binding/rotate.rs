//! `POST /v1/servicebinding/{name}/rotate`: new credentials, without a redeploy (decision 25).

use dispatch_model::{Kind, service_binding::ServiceBinding};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn rotate(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBinding)?;
    let mut binding = call.find::<ServiceBinding>(&name).await?;
    if binding.meta.deleting.is_some() {
        return Err(ApiError::conflict(format!("service binding {name} is being deleted")));
    }
    if binding.status.credentials.is_none() {
        return Err(ApiError::conflict(format!(
            "service binding {name} has no credentials yet that could be rotated"
        )));
    }
    binding.spec.rotation += 1;
    binding.meta.modified = call.now;
    let (id, instance) = (binding.meta.id.uuid(), binding.spec.instance.uuid());
    let batch =
        call.batch(Kind::ServiceBinding, name.as_str(), id).update_spec(&binding, &[instance], &[]);
    call.platform.store.commit(batch).await?;
    binding.meta.generation += 1;
    call.platform.wakers.wake(Kind::ServiceBinding, id);
    Ok(Answer::json(&shape::to_wire(&binding))?.about(Kind::ServiceBinding, id))
}
