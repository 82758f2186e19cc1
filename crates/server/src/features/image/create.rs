//! `POST /v1/image`: 201. The controller builds it.

use dispatch_api::image::ImageInput;
use dispatch_model::{
    Id, Kind, Object,
    image::{Image, Status},
    object::Meta,
};

use super::{input, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let input: ImageInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let spec = input::spec(call, &input).await?;
    let id: Id<Image> = Id::from_uuid(call.platform.entropy.uuid());
    let image = Object {
        meta: Meta::new(id, call.organization, name, call.now, call::tags(input.tags)?),
        spec,
        status: Status::default(),
    };
    let batch = call.batch(Kind::Image, image.meta.name.as_str(), id.uuid()).create(
        &image,
        &[image.spec.base_image.uuid()],
        &[],
    );
    call.platform.store.commit(batch).await?;
    call.platform.wakers.wake(Kind::Image, id.uuid());
    Ok(Answer::json(&shape::to_wire(&image))?.about(Kind::Image, id.uuid()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::TestServer;

    #[tokio::test]
    async fn a_new_image_waits_for_its_base_image_with_a_reason_and_is_ready_with_it() {
        let server = TestServer::start().await;
        let base = json!({"name": "b", "dockerUrl": "host:python3", "language": "python3"});
        server.post("/v1/baseimage", &base).await;
        let tags = json!([{"key": "Application", "value": "shop"}]);
        let body = json!({"name": "i", "baseImageName": "b", "language": "ignored", "tags": tags});
        let made = server.post("/v1/image", &body).await;
        let mut expect = json!({
            "baseImageName": "b", "createdTime": 1_800_000_000, "groups": null, "id": made.body["id"],
            "kind": "Image", "language": "python3", "name": "i", "reason": null,
            "runtimeDependencies": {}, "status": "INITIALIZED",
            "systemDependencies": {"packages": null}, "tags": tags,
        });
        assert_eq!((made.status, &made.body), (201, &expect));
        server.quiet().await;
        expect["reason"] = json!(["its base image b is INITIALIZED"]);
        assert_eq!(server.get("/v1/image/i").await.body, expect);
        server.settled("/v1/baseimage/b").await;
        let ready = server.settled("/v1/image/i").await;
        expect["reason"] = json!(null);
        expect["status"] = "READY".into();
        expect["dockerUrl"] = ready["dockerUrl"].clone();
        assert_eq!(ready, expect);
        assert!(ready["dockerUrl"].as_str().unwrap().contains(ready["id"].as_str().unwrap()));

        let again = server.post("/v1/image", &body).await;
        assert_eq!((again.status, &again.body["message"]), (409, &json!("image i already exists")));
        let tagged = server.get("/v1/image?tags=application=shop").await.body;
        assert_eq!(tagged, json!([expect]));
        assert_eq!(server.get("/v1/image?tags=application=x").await.body, json!([]));
        assert_eq!(server.get("/v1/image/i?tags=application=x").await.status, 404);
        assert_eq!(server.get("/v1/image?tags=role=test").await.status, 400);
        server.finish().await;
    }

    #[tokio::test]
    async fn what_is_wrong_with_an_image_is_said_in_the_first_dispatchs_codes() {
        let server = TestServer::start().await;
        let base = json!({"name": "b", "dockerUrl": "host:python3", "language": ""});
        server.post("/v1/baseimage?wait=60", &base).await;
        let check = async |body: serde_json::Value, status: u16, code: i64, message: &str| {
            let answer = server.post("/v1/image", &body).await;
            assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{body}");
            assert_eq!(answer.body["message"], message, "{body}");
        };
        let absent = "Error fetching base image nope";
        check(json!({"name": "i", "baseImageName": "nope"}), 400, 400, absent).await;
        let odd = "Error fetching base image a b";
        check(json!({"name": "i", "baseImageName": "a b"}), 400, 400, odd).await;
        check(json!({"baseImageName": "b"}), 422, 602, "name in body is required").await;
        check(json!({"name": "i"}), 422, 602, "baseImageName in body is required").await;
        let package = |package: serde_json::Value| json!({"name": "i", "baseImageName": "b", "systemDependencies": {"packages": [{"name": "x", "version": "1"}, package]}});
        let nameless = "systemDependencies.packages.1.name in body is required";
        check(package(json!({"version": "1"})), 422, 602, nameless).await;
        let long = "x".repeat((1 << 20) + 1);
        let body =
            json!({"name": "i", "baseImageName": "b", "runtimeDependencies": {"manifest": long}});
        let words = "runtimeDependencies.manifest in body should be at most 1048576 bytes long";
        check(body, 422, 603, words).await;
        let body = json!({"name": "i", "baseImageName": "b", "runtimeDependencies": {"manifest": &long[1..]}});
        let largest = server.post("/v1/image", &body).await;
        assert_eq!(largest.status, 201);
        server.delete("/v1/image/i").await;
        server.finish().await;
    }

    #[tokio::test]
    async fn system_packages_are_taken_and_fail_the_build() {
        let server = TestServer::start().await;
        let base = json!({"name": "b", "dockerUrl": "host:python3", "language": ""});
        server.post("/v1/baseimage?wait=60", &base).await;
        let check = async |name: &str, package: serde_json::Value, reason: &str| {
            let packages = json!({"packages": [package]});
            let body = json!({"name": name, "baseImageName": "b", "systemDependencies": packages});
            let made = server.post("/v1/image?wait=60", &body).await;
            assert_eq!(
                (made.status, &made.body["status"]),
                (201, &json!("ERROR")),
                "{}",
                made.text
            );
            assert!(made.body["reason"][0].as_str().unwrap().starts_with(reason), "{}", made.text);
            assert_eq!(made.body["systemDependencies"], packages);
        };
        let curl = "system package curl cannot be installed";
        check("a", json!({"name": "curl", "version": "7"}), curl).await;
        check("c", json!({"name": "curl"}), "system package curl has no version").await;
        server.finish().await;
    }
}
