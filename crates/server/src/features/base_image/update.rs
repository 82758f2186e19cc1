//! `PUT /v1/baseimage/{name}`: another interpreter. What stands on it is built again.

use dispatch_api::base_image::BaseImageInput;
use dispatch_model::{Kind, base_image::BaseImage};

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn update(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::BaseImage)?;
    let input: BaseImageInput = call.body()?;
    if call::new_name(input.name.as_deref())? != name {
        return Err(ApiError::bad_request("the name in the body is not the one in the path"));
    }
    let mut base = call.find::<BaseImage>(&name).await?;
    base.spec = shape::spec(call, &input)?;
    base.meta.modified = call.now;
    base.meta.tags = call::tags(input.tags)?;
    let id = base.meta.id.uuid();
    let batch = call.batch(Kind::BaseImage, name.as_str(), id).update_spec(&base, &[], &[]);
    call.platform.store.commit(batch).await?;
    base.meta.generation += 1;
    call.platform.wakers.wake(Kind::BaseImage, id);
    Ok(Answer::json(&shape::to_wire(&base))?.about(Kind::BaseImage, id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::TestServer;

    #[tokio::test]
    async fn an_update_is_proved_again_whatever_was_before() {
        let server = TestServer::start().await;
        let body = |url: &str| json!({"name": "b", "dockerUrl": url, "language": "python3"});
        let made = server.post("/v1/baseimage?wait=60", &body("host:cobol")).await;
        assert_eq!(made.body["status"], "ERROR");
        let changed = server.put("/v1/baseimage/b", &body("host:python3")).await;
        assert_eq!((changed.status, &changed.body["status"]), (200, &json!("UPDATING")));
        assert_eq!(
            (&changed.body["id"], &changed.body["reason"]),
            (&made.body["id"], &json!(null))
        );
        let ready = server.settled("/v1/baseimage/b").await;
        assert_eq!(
            (&ready["status"], &ready["dockerUrl"]),
            (&json!("READY"), &json!("host:python3"))
        );
        let failed = server.put("/v1/baseimage/b?wait=60", &body("host:cobol")).await;
        assert_eq!((failed.status, &failed.body["status"]), (200, &json!("ERROR")));
        server.finish().await;
    }

    #[tokio::test]
    async fn an_update_needs_the_base_image_and_its_name() {
        let server = TestServer::start().await;
        let body = json!({"name": "nope", "dockerUrl": "host:python3", "language": "x"});
        let missing = server.put("/v1/baseimage/nope", &body).await;
        let expect = json!("base image nope not found");
        assert_eq!((missing.status, &missing.body["message"]), (404, &expect));
        let other = server.put("/v1/baseimage/other", &body).await;
        assert_eq!((other.status, &other.body["code"]), (400, &json!(400)));
        server.finish().await;
    }
}
