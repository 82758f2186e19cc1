//! `DELETE /v1/baseimage/{name}`: never refused; images go on with what they hold (decision 12). `?ifUnused=true` is
//! answered 409 with the images that use it.

use dispatch_model::{ErrorCode, Kind, base_image::BaseImage, image::Image};
use dispatch_store::CommitError;

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::BaseImage)?;
    // What its controller saves at this moment is no reason to refuse.
    loop {
        let base = call.find::<BaseImage>(&name).await?;
        let id = base.meta.id.uuid();
        let users = call.platform.store.list_referring::<Image>(&call.scope, id).await?;
        if call.flag("ifUnused")? && !users.is_empty() {
            let users: Vec<&str> = users.iter().map(|user| user.meta().name.as_str()).collect();
            let message = format!("base image {name} is used by {}", users.join(", "));
            return Err(ApiError::new(ErrorCode::InUse, message));
        }
        let batch = call.batch(Kind::BaseImage, name.as_str(), id).delete(&base);
        match call.platform.store.commit(batch).await {
            Err(CommitError::Stale { .. }) => continue,
            done => done?,
        };
        // Those that wait for it wait in vain.
        for user in users {
            call.platform.wakers.wake(Kind::Image, user.meta().id.uuid());
        }
        return Answer::json(&shape::to_wire(&base));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::TestServer;

    #[tokio::test]
    async fn a_used_base_image_can_be_deleted_and_what_was_built_on_it_stays() {
        let server = TestServer::start().await;
        let base = json!({"name": "b", "dockerUrl": "host:python3", "language": "x"});
        server.post("/v1/baseimage?wait=60", &base).await;
        server.post("/v1/image?wait=60", &json!({"name": "i", "baseImageName": "b"})).await;
        let refused = server.delete("/v1/baseimage/b?ifUnused=true").await;
        let expect = json!("base image b is used by i");
        assert_eq!((refused.status, &refused.body["message"]), (409, &expect));
        let gone = server.delete("/v1/baseimage/b").await;
        assert_eq!((gone.status, &gone.body["status"]), (200, &json!("READY")));
        for verb in [server.get("/v1/baseimage/b").await, server.delete("/v1/baseimage/b").await] {
            assert_eq!(verb.body["message"], "base image b not found");
        }
        server.quiet().await;
        assert_eq!(server.get("/v1/image/i").await.body["status"], "READY");
        let body = json!({"name": "j", "baseImageName": "b"});
        let unknown = server.post("/v1/image", &body).await;
        let expect = json!("Error fetching base image b");
        assert_eq!((unknown.status, &unknown.body["message"]), (400, &expect));
        server.finish().await;
    }

    #[tokio::test]
    async fn an_image_that_waits_for_it_is_told_and_an_unused_one_goes_when_asked_so() {
        let server = TestServer::start().await;
        let base = json!({"name": "b", "dockerUrl": "host:python3", "language": "x"});
        server.post("/v1/baseimage", &base).await;
        server.post("/v1/image", &json!({"name": "i", "baseImageName": "b"})).await;
        server.quiet().await;
        assert_eq!(server.delete("/v1/baseimage/b").await.body["status"], "INITIALIZED");
        let image = server.becomes("/v1/image/i", "ERROR").await;
        assert_eq!(image["reason"], json!(["its base image b is gone"]));
        server.post("/v1/baseimage", &base).await;
        assert_eq!(server.delete("/v1/baseimage/b?ifUnused=true").await.status, 200);
        server.finish().await;
    }
}
