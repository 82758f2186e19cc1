//! `POST /v1/servicebroker`: registers a broker. Waits for the catalogue by default, so that the answer lists the
//! classes or every reason for refusal.

use dispatch_api::service_broker::ServiceBrokerInput;
use dispatch_model::{
    Id, Kind, Object,
    object::Meta,
    secret::{Owner, Secret},
    service_broker::{ServiceBroker, Status},
};
use dispatch_store::Batch;

use super::{input, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let mut input: ServiceBrokerInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let tags = call::tags(input.tags.take())?;
    let spec = input::spec(call, &name, input).await?;
    let id: Id<ServiceBroker> = Id::from_uuid(call.platform.entropy.uuid());
    let broker = Object {
        meta: Meta::new(id, call.organization, name, call.now, tags),
        spec,
        status: Status::default(),
    };
    let batch = call.batch(Kind::ServiceBroker, broker.meta.name.as_str(), id.uuid()).create(
        &broker,
        &[],
        &[],
    );
    let batch = adopt_login(call, batch, &broker).await?;
    call.platform.store.commit(batch).await?;
    call.platform.wakers.wake(Kind::ServiceBroker, id.uuid());
    let wire = shape::to_wire(&call.platform, &broker).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceBroker, id.uuid()))
}

/// The secret `broker-NAME` is the login that was given with the registration: it belongs to the broker and goes with
/// it (decision 20a). A secret of any other name stays its user's.
async fn adopt_login(
    call: &Call,
    batch: Batch,
    broker: &Object<ServiceBroker>,
) -> Result<Batch, ApiError> {
    let own = format!("broker-{}", broker.meta.name);
    let Some(name) = broker.spec.authentication.secret().filter(|name| name.as_str() == own) else {
        return Ok(batch);
    };
    let mut secret = call.find::<Secret>(name).await?;
    if secret.spec.owner != Owner::User {
        return Ok(batch);
    }
    secret.spec.owner = Owner::Broker(broker.meta.id);
    Ok(batch.update_spec(&secret, &[broker.meta.id.uuid()], &[]))
}

#[cfg(test)]
mod tests {
    use dispatch_osb::{
        broker::Authentication,
        fake::{CallKind, Fault, RawAnswer},
    };
    use serde_json::json;

    use crate::testing::TestPlatform;

    fn basic(password: &str) -> Authentication {
        Authentication::Basic { username: "u".to_owned(), password: password.to_owned() }
    }

    #[tokio::test]
    async fn the_answer_to_a_registration_lists_the_classes() {
        let platform = TestPlatform::unregistered().await;
        let body = json!({"name": "fake", "URL": platform.broker.url(), "parameters": {"size": 3}});
        let made = platform.post("/v1/servicebroker", &body).await;
        assert_eq!((made.status, made.settled), (201, true), "{}", made.text);
        let seen = &made.body;
        assert_eq!((&seen["status"], &seen["reason"]), (&json!("READY"), &json!(null)));
        assert_eq!(
            (&seen["url"], &seen["parameters"]),
            (&json!(platform.broker.url()), &json!({"size": 3}))
        );
        assert_eq!(seen["catalog"]["apiVersion"], "2.17");
        let classes = seen["serviceClasses"].as_object().unwrap();
        let names: Vec<&String> = classes.keys().collect();
        assert_eq!(names, ["Odd & p.mysql/ü", "fake-db", "fake-kv"]);
        assert_eq!(classes["fake-db"]["plans"], json!(["small", "large", "rotating", "silent"]));
        assert!(classes.values().all(|class| class["enabled"] == json!(true)));

        let again = platform.post("/v1/servicebroker", &body).await;
        assert_eq!((again.status, &again.body["code"]), (409, &json!(409)));
        assert_eq!(platform.get("/v1/servicebroker/fake").await.body, *seen);
        assert_eq!(platform.get("/v1/servicebroker").await.body, json!([seen]));
        platform.finish().await;
    }

    #[tokio::test]
    async fn only_the_classes_and_plans_that_were_named_are_enabled() {
        let platform = TestPlatform::unregistered().await;
        let check = async |name: &str, selection: serde_json::Value, expect: &[(&str, usize)]| {
            let body =
                json!({"name": name, "url": platform.broker.url(), "serviceClasses": selection});
            let made = platform.post("/v1/servicebroker", &body).await;
            let classes = made.body["serviceClasses"].as_object().unwrap();
            let enabled: Vec<(&str, usize)> = classes
                .iter()
                .filter(|(_, class)| class["enabled"] == json!(true))
                .map(|(name, class)| (name.as_str(), class["plans"].as_array().unwrap().len()))
                .collect();
            assert_eq!(enabled, expect, "{selection}");
        };
        check("none", json!([]), &[]).await;
        check("list", json!(["fake-db"]), &[("fake-db", 4)]).await;
        check(
            "map",
            json!({"fake-db": {"plans": ["small"]}, "fake-kv": {}}),
            &[("fake-db", 1), ("fake-kv", 1)],
        )
        .await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_login_comes_from_a_secret_and_is_read_at_each_use() {
        let platform = TestPlatform::unregistered().await;
        let url = platform.broker.url();
        let secret = json!({"name": "login", "secrets": {"username": "u", "password": "wrong"}});
        platform.post("/v1/secret", &secret).await;
        platform.broker.configure(|settings| {
            settings.authentication = basic("right");
        });
        let authentication = json!({"type": "basic", "secret": "login"});
        let body = json!({"name": "fake", "url": url, "authentication": authentication});
        let made = platform.post("/v1/servicebroker", &body).await;
        assert_eq!((made.status, &made.body["status"]), (201, &json!("ERROR")));
        let reason = made.body["reason"][0].as_str().unwrap();
        assert!(reason.starts_with("the broker refused our login"), "{reason}");
        assert!(!made.text.contains("wrong"), "the answer names no value");

        let secret = json!({"name": "login", "secrets": {"username": "u", "password": "right"}});
        platform.put("/v1/secret/login", &secret).await;
        let seen = platform.settled("/v1/servicebroker/fake").await;
        let seen = match seen["status"].as_str() {
            // It is tried again by itself.
            Some("ERROR") => {
                platform
                    .until("/v1/servicebroker/fake", |answer| {
                        (answer.body["status"] == "READY").then(|| answer.body.clone())
                    })
                    .await
            }
            _ => seen,
        };
        assert_eq!((&seen["status"], &seen["authentication"]), (&json!("READY"), &authentication));
        let warnings = seen["catalog"]["warnings"].to_string();
        assert!(warnings.contains("OSB-006"), "{warnings}");
        platform.instance("db").await;

        // A secret made anew begins at version 1 again, and counts all the same.
        platform.delete("/v1/secret/login").await;
        let secret = json!({"name": "login", "secrets": {"username": "u", "password": "newer"}});
        platform.post("/v1/secret", &secret).await;
        platform.broker.configure(|settings| {
            settings.authentication = basic("newer");
        });
        platform.instance("db2").await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_bearer_token_is_a_login_too() {
        let platform = TestPlatform::unregistered().await;
        platform.broker.configure(|settings| {
            settings.authentication = Authentication::Bearer { token: "t0k".to_owned() }
        });
        platform.post("/v1/secret", &json!({"name": "t", "secrets": {"token": "t0k"}})).await;
        let check = async |name: &str, authentication: serde_json::Value, reason: Option<&str>| {
            let body = json!({"name": name, "url": platform.broker.url(), "authentication": authentication});
            let made = platform.post("/v1/servicebroker", &body).await;
            let expect = if reason.is_none() { "READY" } else { "ERROR" };
            assert_eq!(made.body["status"], expect, "{}", made.text);
            assert_eq!(made.body["reason"][0].as_str(), reason);
        };
        check("good", json!({"type": "bearer", "secret": "t"}), None).await;
        let missing = "the secret t with the broker's login has no key username";
        check("bad", json!({"type": "basic", "secret": "t"}), Some(missing)).await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_catalogue_that_is_none_is_refused_with_every_reason() {
        let platform = TestPlatform::unregistered().await;
        let garbage = json!({"services": [
            {"id": "", "name": "a", "description": "d", "bindable": true, "plans": []},
            {"id": "2", "name": "a", "description": "d", "bindable": true,
             "plans": [{"id": "p", "name": "p", "description": "d"}, {"id": "p", "name": "p", "description": "d"}]},
        ]});
        let answer = RawAnswer::json(200, &garbage);
        platform.broker.always(CallKind::Catalog, Some(Fault::Instead(answer)));
        let made = platform.register("fake").await;
        assert_eq!((made.status, made.settled, &made.body["status"]), (201, true, &json!("ERROR")));
        let reason = made.body["reason"][0].as_str().unwrap();
        assert!(reason.matches(';').count() >= 3, "all at once: {reason}");
        assert_eq!(made.body["serviceClasses"], json!({}));

        for (answer, expect) in [
            (RawAnswer::new(200, "<html>"), "HTTP 200, and its body is of no use"),
            (RawAnswer::error(500, "", "out to lunch"), "out to lunch"),
        ] {
            platform.broker.always(CallKind::Catalog, Some(Fault::Instead(answer)));
            let refreshed =
                platform.post("/v1/servicebroker/fake/refresh?wait=30", &json!({})).await;
            let reason = refreshed.body["reason"][0].as_str().unwrap().to_owned();
            assert!(reason.contains(expect), "{reason}");
        }
        // It is asked again by itself, ever more slowly.
        platform.broker.clear_faults();
        platform
            .until("/v1/servicebroker/fake", |seen| (seen.body["status"] == "READY").then_some(()))
            .await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_broker_that_does_not_answer_is_waited_for_as_long_as_was_asked() {
        let platform = TestPlatform::unregistered().await;
        platform.broker.always(CallKind::Catalog, Some(Fault::HangBefore));
        let made = platform
            .post(
                "/v1/servicebroker?wait=0",
                &json!({"name": "fake", "url": platform.broker.url()}),
            )
            .await;
        assert_eq!(
            (made.status, made.settled, &made.body["status"]),
            (201, true, &json!("INITIALIZED"))
        );
        platform.broker.until("the request", |books| books.hanging == 1).await;
        let held = platform.passing(platform.get("/v1/servicebroker/fake?wait=7")).await;
        assert_eq!((held.status, held.settled), (200, false), "Dispatch-Settled: false");
        platform.broker.clear_faults();
        platform.broker.release();
        assert_eq!(platform.settled("/v1/servicebroker/fake").await["status"], "READY");
        platform.finish().await;
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_registration_is_said_all_at_once_and_nothing_is_stored() {
        let platform = TestPlatform::unregistered().await;
        let check = async |body: serde_json::Value, status: u16, code: i64, paths: &[&str]| {
            let answer = platform.post("/v1/servicebroker", &body).await;
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (status, &json!(code)),
                "{}",
                answer.text
            );
            let faults = answer.body["faults"].as_array().cloned().unwrap_or_default();
            let found: Vec<&str> =
                faults.iter().map(|fault| fault["path"].as_str().unwrap()).collect();
            assert_eq!(found, paths, "{}", answer.text);
        };
        check(json!({}), 422, 602, &[]).await;
        check(json!({"name": "b"}), 422, 602, &[]).await;
        check(json!({"name": "a b", "url": "http://h"}), 422, 605, &[]).await;
        let many = json!({
            "name": "b", "url": "ftp://h", "parameters": 1, "profile": "x",
            "authentication": {"type": "basic", "secret": "none-such"},
            "tls": {"caCert": "x", "skipVerify": true},
        });
        let paths = ["/url", "/authentication/secret", "/tls", "/parameters", "/profile"];
        check(many, 400, 400, &paths).await;
        assert_eq!(platform.get("/v1/servicebroker").await.body, json!([]));
        platform.finish().await;
    }
}
