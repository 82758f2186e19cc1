//! `DELETE /v1/image/{name}`: never refused; functions hold their layers by digest and go on (decision 12).
//! `?ifUnused=true` is answered 409 with the functions that use it.

use dispatch_model::{ErrorCode, Kind, Phase, function::Function, image::Image};
use dispatch_store::{CommitError, Stored};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Image)?;
    // What its controller saves at this moment is no reason to refuse.
    loop {
        let image = call.find::<Image>(&name).await?;
        let id = image.meta.id.uuid();
        let users = call.platform.store.list_referring::<Function>(&call.scope, id).await?;
        // A function that goes will not need it.
        let stay = users.iter().map(Stored::meta).filter(|user| user.deleting.is_none());
        let stay: Vec<&str> = stay.map(|user| user.name.as_str()).collect();
        if call.flag("ifUnused")? && !stay.is_empty() {
            let message = format!("image {name} is used by {}", stay.join(", "));
            return Err(ApiError::new(ErrorCode::InUse, message));
        }
        let batch = call.batch(Kind::Image, name.as_str(), id).delete(&image);
        match call.platform.store.commit(batch).await {
            Err(CommitError::Stale { .. }) => continue,
            done => done?,
        };
        // Its build is cancelled, and functions that wait for it wait in vain.
        call.platform.wakers.wake(Kind::Image, id);
        for user in users {
            call.platform.wakers.wake(Kind::Function, user.meta().id.uuid());
        }
        let mut wire = shape::to_wire(&image);
        wire.status = Phase::Deleted.as_str().to_owned();
        return Answer::json(&wire);
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::json;

    use crate::testing::TestServer;

    #[tokio::test]
    async fn a_used_image_is_deleted_unless_asked_and_functions_that_wait_for_it_are_told() {
        let server = TestServer::start().await;
        let base = json!({"name": "b", "dockerUrl": "host:python3", "language": "python3"});
        server.post("/v1/baseimage", &base).await;
        let image = json!({"name": "i", "baseImageName": "b"});
        server.post("/v1/image", &image).await;
        for name in ["f", "g"] {
            let source = STANDARD.encode("no archive");
            server
                .post("/v1/function", &json!({"name": name, "image": "i", "source": source}))
                .await;
        }
        server.quiet().await;
        let refused = server.delete("/v1/image/i?ifUnused=true").await;
        let expect = json!("image i is used by f, g");
        assert_eq!((refused.status, &refused.body["message"]), (409, &expect));
        let gone = server.delete("/v1/image/i").await;
        assert_eq!((gone.status, &gone.body["status"]), (200, &json!("DELETED")));
        for answer in [server.get("/v1/image/i").await, server.delete("/v1/image/i").await] {
            let expect = json!("image i not found");
            assert_eq!((answer.status, &answer.body["message"]), (404, &expect));
        }
        let told = |f: &crate::testing::Answer| {
            (f.body["reason"][0] == "its image i does not exist").then_some(())
        };
        server.eventually("/v1/function/f", told).await;
        server.eventually("/v1/function/g", told).await;

        server.post("/v1/image", &image).await;
        let unused = server.delete("/v1/image/i?ifUnused=true").await;
        assert_eq!(unused.status, 200, "{}", unused.text);
        assert_eq!(server.delete("/v1/image/i?ifUnused=perhaps").await.status, 404);
        server.finish().await;
    }
}
