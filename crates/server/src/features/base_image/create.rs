//! `POST /v1/baseimage`: 201. The interpreter proves itself afterwards.

use dispatch_api::base_image::BaseImageInput;
use dispatch_model::{
    Id, Kind, Object,
    base_image::{BaseImage, Status},
    object::Meta,
};

use super::shape;
use crate::http::{Answer, ApiError, Call, call};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let input: BaseImageInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let spec = shape::spec(call, &input)?;
    let id: Id<BaseImage> = Id::from_uuid(call.platform.entropy.uuid());
    let base = Object {
        meta: Meta::new(id, call.organization, name, call.now, call::tags(input.tags)?),
        spec,
        status: Status::default(),
    };
    let batch =
        call.batch(Kind::BaseImage, base.meta.name.as_str(), id.uuid()).create(&base, &[], &[]);
    call.platform.store.commit(batch).await?;
    call.platform.wakers.wake(Kind::BaseImage, id.uuid());
    Ok(Answer::json(&shape::to_wire(&base))?.about(Kind::BaseImage, id.uuid()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use crate::testing::TestServer;

    #[tokio::test]
    async fn a_new_base_image_reads_initialized_for_a_second_and_then_proves_itself() {
        let server = TestServer::start().await;
        let tags = json!([{"key": "role", "value": "test"}]);
        let url = "dispatchframework/python3-base:0.0.13";
        let body = json!({"name": "b", "dockerUrl": url, "language": "python3", "tags": tags});
        let made = server.post("/v1/baseimage", &body).await;
        let mut expect = json!({
            "createdTime": 1_800_000_000, "dockerUrl": url, "groups": null, "id": made.body["id"],
            "kind": "BaseImage", "language": "python3", "name": "b", "reason": null,
            "status": "INITIALIZED", "tags": tags,
        });
        assert_eq!((made.status, &made.body), (201, &expect));
        server.quiet().await;
        server.world.clock.advance(Duration::from_millis(999));
        server.quiet().await;
        assert_eq!(server.get("/v1/baseimage/b").await.body, expect);
        server.world.clock.advance(Duration::from_millis(1));
        expect["status"] = "READY".into();
        assert_eq!(server.becomes("/v1/baseimage/b", "READY").await, expect);
        assert_eq!(server.get("/v1/baseimage?tags=role=none").await.body, json!([expect]));

        let again = server.post("/v1/baseimage", &body).await;
        assert_eq!((again.status, &again.body["code"]), (409, &json!(409)));
        assert_eq!(again.body["message"], "base image b already exists");
        server.finish().await;
    }

    #[tokio::test]
    async fn whoever_waits_is_answered_when_it_has_proved_itself() {
        let server = TestServer::start().await;
        let body = json!({"name": "b", "dockerUrl": "host:python3", "language": ""});
        let made = server.post("/v1/baseimage?wait=60", &body).await;
        assert_eq!((made.status, made.settled, &made.body["status"]), (201, true, &json!("READY")));
        let body = json!({"name": "c", "dockerUrl": "host:python3", "language": ""});
        let made = server.post("/v1/baseimage?wait=0", &body).await;
        assert_eq!((made.status, &made.body["status"]), (201, &json!("INITIALIZED")));
        server.finish().await;
    }

    #[tokio::test]
    async fn a_url_that_stands_for_nothing_ends_in_error_with_one_reason_that_says_what_to_use() {
        let server = TestServer::start().await;
        let check = async |name: &str, url: &str, reason: &str| {
            let body = json!({"name": name, "dockerUrl": url, "language": "x"});
            let made = server.post("/v1/baseimage?wait=60", &body).await;
            assert_eq!((made.status, &made.body["status"]), (201, &json!("ERROR")), "{url}");
            assert_eq!(made.body["reason"], json!([reason]));
        };
        let known = "missing/image:latest is not a base image that this version knows; use host:python3 or host:nodejs";
        check("a", "missing/image:latest", known).await;
        let none = "there is no runtime cobol on this machine; use host:python3 or host:nodejs";
        check("b", "host:cobol", none).await;
        let later = "java functions are not in this version yet; use host:python3 or host:nodejs";
        check("c", "dispatchframework/java-base:0.0.12", later).await;
        server.finish().await;
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_base_image_is_said_in_the_first_dispatchs_codes() {
        let server = TestServer::start().await;
        let check = async |body: serde_json::Value, status: u16, code: i64| {
            let answer = server.post("/v1/baseimage", &body).await;
            assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{body}");
        };
        check(json!({}), 422, 602).await;
        check(json!({"name": "b", "language": "x"}), 422, 602).await;
        check(json!({"name": "b", "dockerUrl": "x"}), 422, 602).await;
        check(json!({"name": "b 2!", "dockerUrl": "x", "language": "x"}), 422, 605).await;
        check(json!({"name": "b", "dockerUrl": 5, "language": "x"}), 400, 400).await;
        server.finish().await;
    }
}
