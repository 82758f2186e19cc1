//! `PUT /v1/image/{name}`: other dependencies. Functions that use it are built again.

use dispatch_api::image::ImageInput;
use dispatch_model::{Kind, image::Image};

use super::{input, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn update(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Image)?;
    let input: ImageInput = call.body()?;
    if call::new_name(input.name.as_deref())? != name {
        return Err(ApiError::bad_request("the name in the body is not the one in the path"));
    }
    let mut image = call.find::<Image>(&name).await?;
    image.spec = input::spec(call, &input).await?;
    image.meta.modified = call.now;
    image.meta.tags = call::tags(input.tags)?;
    let id = image.meta.id.uuid();
    let batch = call.batch(Kind::Image, name.as_str(), id).update_spec(
        &image,
        &[image.spec.base_image.uuid()],
        &[],
    );
    call.platform.store.commit(batch).await?;
    image.meta.generation += 1;
    call.platform.wakers.wake(Kind::Image, id);
    Ok(Answer::json(&shape::to_wire(&image))?.about(Kind::Image, id))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};

    use crate::testing::{Answer, TestServer};

    fn image(packages: &Value) -> Value {
        json!({"name": "i", "baseImageName": "b", "systemDependencies": {"packages": packages}})
    }

    #[tokio::test]
    async fn an_update_builds_again_and_wakes_the_functions_on_it() {
        let server = TestServer::start().await;
        let base = json!({"name": "b", "dockerUrl": "host:python3", "language": "python3"});
        server.post("/v1/baseimage", &base).await;
        let made = server.post("/v1/image", &image(&json!(null))).await;
        let function = json!({"name": "f", "image": "i", "source": STANDARD.encode("no archive")});
        assert_eq!(server.post("/v1/function", &function).await.status, 201);
        let waits = async |begin: &str| {
            let says = |f: &Answer| f.body["reason"][0].as_str().unwrap_or("").starts_with(begin);
            server.eventually("/v1/function/f", |f| says(f).then_some(())).await;
        };
        waits("its image i is INITIALIZED").await;
        let broken =
            server.put("/v1/image/i", &image(&json!([{"name": "curl", "version": "7"}]))).await;
        assert_eq!((broken.status, &broken.body["status"]), (200, &json!("UPDATING")));
        assert_eq!((&broken.body["id"], &broken.body["reason"]), (&made.body["id"], &json!(null)));
        server.settled("/v1/baseimage/b").await;
        server.becomes("/v1/image/i", "ERROR").await;
        waits("its image i failed: system package curl cannot be installed").await;

        let mended = server.put("/v1/image/i?wait=60", &image(&json!(null))).await;
        assert_eq!((mended.status, &mended.body["status"]), (200, &json!("READY")));
        assert_eq!(mended.body["reason"], json!(null));
        let failed = server.becomes("/v1/function/f", "ERROR").await;
        assert!(!failed["reason"][0].as_str().unwrap().contains("its image"), "{failed}");
        server.finish().await;
    }

    #[tokio::test]
    async fn an_update_replaces_the_tags_too_and_needs_image_base_and_name() {
        let server = TestServer::start().await;
        let base = json!({"name": "b", "dockerUrl": "host:python3", "language": "python3"});
        server.post("/v1/baseimage?wait=60", &base).await;
        let tags = json!([{"key": "Application", "value": "shop"}]);
        let mut body = image(&json!(null));
        body["tags"] = tags.clone();
        server.post("/v1/image?wait=60", &body).await;
        assert_eq!(server.put("/v1/image/i?wait=60", &body).await.body["tags"], tags);
        let without = server.put("/v1/image/i?wait=60", &image(&json!(null))).await;
        assert_eq!(
            (&without.body["tags"], &without.body["status"]),
            (&json!(null), &json!("READY"))
        );
        let check = async |path: &str, body: Value, status: u16, message: &str| {
            let answer = server.put(path, &body).await;
            assert_eq!((answer.status, &answer.body["message"]), (status, &json!(message)));
        };
        let nope = json!({"name": "nope", "baseImageName": "b"});
        check("/v1/image/nope", nope, 404, "image nope not found").await;
        let gone = json!({"name": "i", "baseImageName": "x"});
        check("/v1/image/i", gone, 400, "Error fetching base image x").await;
        let other = json!({"name": "j", "baseImageName": "b"});
        let words = "the name in the body is not the one in the path";
        check("/v1/image/i", other, 400, words).await;
        server.finish().await;
    }
}
