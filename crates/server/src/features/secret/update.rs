//! `PUT /v1/secret/{name}`: 201, as in v0.1.22. Values are replaced; tags too when given.

use dispatch_api::secret::SecretInput;
use dispatch_model::{
    Kind, Name,
    secret::{Owner, Secret},
};

use super::shape;
use crate::{
    features::service_broker,
    http::{Answer, ApiError, Call, call},
};

pub async fn update(call: &Call) -> Result<Answer, ApiError> {
    let input: SecretInput = call.body()?;
    // The first Dispatch took the name of the body and not of the path; equal names are what everybody sends.
    let name = call::new_name(input.name.as_deref())?;
    if call.name_of(Kind::Secret)? != name {
        return Err(ApiError::bad_request("the name in the body is not the one in the path"));
    }
    let mut secret = call.find::<Secret>(&name).await?;
    refuse_owned(call, &name, &secret.spec.owner).await?;
    let values = shape::values(input.secrets)?;
    let before = shape::sealed(&secret);
    secret.spec.version += 1;
    secret.spec.keys = shape::keys(&values);
    secret.meta.modified = call.now;
    if input.tags.is_some() {
        secret.meta.tags = call::tags(input.tags)?;
    }
    let id = secret.meta.id;
    let batch = call
        .batch(Kind::Secret, name.as_str(), id.uuid())
        .update_spec(&secret, &owner(&secret.spec.owner), &[])
        .put_secret_values(call.organization, id, secret.spec.version, &values)
        .unseal_delete(before);
    call.platform.store.commit(batch).await?;
    service_broker::login_changed(&call.platform, &call.scope, &name).await?;
    Answer::json(&shape::to_wire(call, &secret).await?)
}

/// What the secret goes with.
fn owner(owner: &Owner) -> Vec<uuid::Uuid> {
    match owner {
        Owner::User => Vec::new(),
        Owner::Broker(broker) => vec![broker.uuid()],
        Owner::Binding(binding) => vec![binding.uuid()],
    }
}

/// Decision 26: credentials belong to their binding.
pub(super) async fn refuse_owned(call: &Call, name: &Name, owner: &Owner) -> Result<(), ApiError> {
    let Owner::Binding(id) = owner else { return Ok(()) };
    let binding = call.platform.store.get_by_id(&call.scope, *id).await?;
    // Gone meanwhile, and the secret with it.
    let binding = binding.map_or(id.to_string(), |binding| binding.meta().name.to_string());
    Err(ApiError::conflict(format!(
        "secret {name} belongs to service binding {binding}: rotate or delete that"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::TestServer;

    #[tokio::test]
    async fn an_update_replaces_the_values_and_keeps_the_tags_unless_given() {
        let server = TestServer::start().await;
        let tags = json!([{"key": "Application", "value": "shop"}]);
        let first = json!({"name": "s", "secrets": {"a": "1", "b": "2"}, "tags": tags});
        let id = server.post("/v1/secret", &first).await.body["id"].clone();
        let answer = server.put("/v1/secret/s", &json!({"name": "s", "secrets": {"c": "3"}})).await;
        assert_eq!((answer.status, &answer.body["id"]), (201, &id));
        let seen = server.get("/v1/secret/s").await.body;
        assert_eq!((&seen["secrets"], &seen["tags"]), (&json!({"c": "3"}), &tags));

        let other = server.put("/v1/secret/t", &json!({"name": "t"})).await;
        assert_eq!((other.status, &other.body["message"]), (404, &json!("secret t not found")));
        server.finish().await;
    }
}
