//! `POST /v1/secret`: 201 with the values, as v0.1.22 answers.

use dispatch_api::secret::SecretInput;
use dispatch_model::{
    Id, Kind, Object,
    object::{Meta, NoStatus},
    secret::{Owner, Spec},
};

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let input: SecretInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let values = shape::values(input.secrets)?;
    let id = Id::from_uuid(call.platform.entropy.uuid());
    let secret = Object {
        meta: Meta::new(id, call.organization, name, call.now, call::tags(input.tags)?),
        spec: Spec { keys: shape::keys(&values), version: 1, owner: Owner::User },
        status: NoStatus {},
    };
    let batch = call
        .batch(Kind::Secret, secret.meta.name.as_str(), id.uuid())
        .create(&secret, &[], &[])
        .put_secret_values(call.organization, id, 1, &values);
    call.platform.store.commit(batch).await?;
    Answer::json(&shape::to_wire(call, &secret).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::TestServer;

    #[tokio::test]
    async fn a_secret_is_answered_with_its_values_and_a_second_of_that_name_is_refused() {
        let server = TestServer::start().await;
        let body = json!({"name": "open-sesame", "secrets": {"password": "OpenSesame"}});
        let made = server.post("/v1/secret", &body).await;
        assert_eq!(made.status, 201);
        assert_eq!(made.body["secrets"], json!({"password": "OpenSesame"}));
        assert_eq!(made.body["kind"], "Secret");
        assert_eq!(made.body["tags"], json!(null));

        let again = server.post("/v1/secret", &body).await;
        assert_eq!((again.status, &again.body["code"]), (409, &json!(409)));
        assert_eq!(again.body["message"], "secret open-sesame already exists");
        server.finish().await;
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_secret_is_said_in_the_first_dispatchs_codes() {
        let server = TestServer::start().await;
        let check = async |body: serde_json::Value, status: u16, code: i64| {
            let answer = server.post("/v1/secret", &body).await;
            assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{body}");
        };
        check(json!({}), 422, 602).await;
        check(json!({"name": ""}), 422, 605).await;
        check(json!({"name": "a b"}), 422, 605).await;
        check(json!({"name": "a".repeat(129)}), 422, 603).await;
        check(json!({"name": "a", "secrets": {"k": 1}}), 400, 400).await;
        check(json!({"name": "a", "secrets": {"k": "x".repeat(1 << 20)}}), 422, 603).await;
        let largest = json!({"name": "a", "secrets": {"k": "x".repeat((1 << 20) - 1)}});
        assert_eq!(server.post("/v1/secret", &largest).await.status, 201);
        server.finish().await;
    }
}
