//! `DELETE /v1/secret/{name}`: 204. A function that misses it afterwards says so by name (decision 12).

use dispatch_model::{Kind, secret::Secret};

use super::{shape, update::refuse_owned};
use crate::http::{Answer, ApiError, Call};

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Secret)?;
    let secret = call.find::<Secret>(&name).await?;
    refuse_owned(call, &name, &secret.spec.owner).await?;
    let batch = call
        .batch(Kind::Secret, name.as_str(), secret.meta.id.uuid())
        .delete(&secret)
        .unseal_delete(shape::sealed(&secret));
    call.platform.store.commit(batch).await?;
    Ok(Answer::empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::TestServer;

    #[tokio::test]
    async fn a_deleted_secret_is_gone_and_its_name_is_free() {
        let server = TestServer::start().await;
        server.post("/v1/secret", &json!({"name": "s", "secrets": {"a": "1"}})).await;
        let answer = server.delete("/v1/secret/s").await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        assert_eq!(server.get("/v1/secret/s").await.status, 404);
        assert_eq!(server.delete("/v1/secret/s").await.status, 404);
        assert_eq!(server.get("/v1/secret").await.body, json!([]));
        assert_eq!(server.post("/v1/secret", &json!({"name": "s"})).await.status, 201);
        server.finish().await;
    }
}
