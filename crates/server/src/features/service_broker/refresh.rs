//! `POST /v1/servicebroker/{name}/refresh`: read the catalogue now.

use dispatch_model::{Kind, service_broker::ServiceBroker};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn refresh(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBroker)?;
    let mut broker = call.find::<ServiceBroker>(&name).await?;
    if broker.meta.deleting.is_some() {
        return Err(ApiError::conflict(format!("service broker {name} is being deleted")));
    }
    broker.spec.refresh += 1;
    broker.meta.modified = call.now;
    let id = broker.meta.id.uuid();
    let batch = call.batch(Kind::ServiceBroker, name.as_str(), id).update_spec(&broker, &[], &[]);
    call.platform.store.commit(batch).await?;
    broker.meta.generation += 1;
    call.platform.wakers.wake(Kind::ServiceBroker, id);
    let wire = shape::to_wire(&call.platform, &broker).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceBroker, id))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dispatch_osb::fake::{CallKind, Fault, RawAnswer, ids};
    use serde_json::json;

    use crate::testing::TestPlatform;

    const BROKER: &str = "/v1/servicebroker/fake";

    /// What checks nothing says so, by class, plan and place.
    #[tokio::test]
    async fn a_schema_that_cannot_be_used_is_a_warning_of_the_catalogue() {
        let platform = TestPlatform::start().await;
        let check = async |schema: serde_json::Value, why: &str| {
            platform.broker.configure(|settings| {
                let mut services = settings.catalog.services.iter_mut();
                let plain = services.find(|service| service.id == ids::PLAIN).unwrap();
                let schemas = json!({"service_binding": {"create": {"parameters": schema}}});
                plain.plans[0].schemas = Some(serde_json::from_value(schemas).unwrap());
            });
            let seen = platform.post("/v1/servicebroker/fake/refresh?wait=30", &json!({})).await;
            assert_eq!(seen.body["status"], "READY");
            let warnings = seen.body["catalog"]["warnings"].as_array().unwrap();
            let begin =
                "service \"fake-kv\", plan \"only\": schemas: service_binding: create: parameters";
            let of_ours = |it: &&serde_json::Value| it.as_str().unwrap().starts_with(begin);
            let found: Vec<_> = warnings.iter().filter(of_ours).collect();
            let [warning] = found.as_slice() else { panic!("{warnings:#?}") };
            let warning = warning.as_str().unwrap();
            assert!(warning.contains(why), "{warning}");
            assert!(warning.contains("; parameters are sent without a check ("), "{warning}");
        };
        let draft = "https://json-schema.org/draft/2020-12/schema";
        let with = |key: &str, value: serde_json::Value| json!({"$schema": draft, key: value});
        check(with("$ref", json!("http://127.0.0.1:1/x")), "refers to another document").await;
        check(with("$ref", json!("#anchor")), "\"#anchor\" is no JSON pointer").await;
        check(with("$dynamicRef", json!("#a")), "$dynamicRef is not supported").await;
        let nested = json!({"a": {"$id": "https://x.example/"}});
        check(with("properties", nested), "$id is supported at its top only").await;
        check(with("type", json!("text")), "cannot be used: \"text\" is not").await;
        check(with("pattern", json!("(")), "cannot be used: ").await;
        platform.instance("db").await;
        let bound = json!({"name": "more", "instance": "db", "parameters": {"a": 1}});
        let bound = platform.post("/v1/servicebinding?wait=60", &bound).await;
        assert_eq!(bound.body["status"], "READY", "sent without a check: {}", bound.text);
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_refresh_shows_what_the_broker_has_now_and_a_bad_one_changes_nothing() {
        let platform = TestPlatform::start().await;
        platform.broker.configure(|settings| {
            settings.catalog.services.retain(|service| service.id == ids::PLAIN);
        });
        let seen = platform.post("/v1/servicebroker/fake/refresh?wait=30", &json!({})).await;
        let classes = seen.body["serviceClasses"].as_object().unwrap();
        assert_eq!((seen.status, classes.len()), (200, 1), "{}", seen.text);

        let garbage = Fault::Instead(RawAnswer::new(200, "[]"));
        platform.broker.fault(CallKind::Catalog, garbage);
        let seen = platform.post("/v1/servicebroker/fake/refresh?wait=30", &json!({})).await;
        assert_eq!((&seen.body["status"], seen.settled), (&json!("READY"), true));
        assert_eq!(seen.body["conditions"][0]["type"], "CatalogStale");
        assert_eq!(seen.body["serviceClasses"].as_object().unwrap().len(), 1);
        platform.instance("db").await;

        let seen = platform.post("/v1/servicebroker/fake/refresh?wait=30", &json!({})).await;
        assert_eq!(seen.body["conditions"], json!([]));
        let none = platform.post("/v1/servicebroker/other/refresh", &json!({})).await;
        assert_eq!(
            (none.status, none.body["message"].as_str()),
            (404, Some("service broker other not found"))
        );
        platform.finish().await;
    }

    #[tokio::test]
    async fn the_catalogue_is_read_again_every_hour() {
        let platform = TestPlatform::start().await;
        assert_eq!(platform.broker.books().count(CallKind::Catalog), 1);
        platform.world.clock.advance(Duration::from_secs(3_000));
        platform.quiet().await;
        assert_eq!(platform.broker.books().count(CallKind::Catalog), 1);
        platform.world.clock.advance(Duration::from_secs(1_000));
        platform
            .broker
            .until("the next reading", |books| books.count(CallKind::Catalog) == 2)
            .await;
        assert_eq!(platform.get(BROKER).await.body["status"], "READY");
        platform.finish().await;
    }

    #[tokio::test]
    async fn an_instance_outlives_the_class_that_it_was_made_of() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        platform.broker.configure(|settings| settings.catalog.services.clear());
        platform.post("/v1/servicebroker/fake/refresh?wait=30", &json!({})).await;
        let unknown = platform.ask("other").await;
        assert_eq!(
            (unknown.status, unknown.body["message"].as_str()),
            (400, Some("Service class fake-kv does not exist"))
        );
        let more = json!({"name": "more", "instance": "db"});
        let bound = platform.post("/v1/servicebinding?wait=30", &more).await;
        assert_eq!((bound.status, &bound.body["status"]), (201, &json!("READY")), "{}", bound.text);
        platform.finish().await;
    }

    #[tokio::test]
    async fn the_catalogue_in_use_is_not_swept_and_the_one_before_it_is() {
        let platform = TestPlatform::start().await;
        let parts = platform.running.platform();
        let swept = async || parts.store.sweep_blobs(&parts.system).await.unwrap();
        assert_eq!(swept().await, 0);
        let refresh = "/v1/servicebroker/fake/refresh?wait=30";
        platform.broker.fault(CallKind::Catalog, Fault::ResetInBody);
        platform.post(refresh, &json!({})).await;
        platform.put(BROKER, &json!({"url": platform.broker.url()})).await;
        platform.quiet().await;
        assert_eq!(swept().await, 0, "whatever the broker and its user do");
        platform.broker.configure(|settings| settings.catalog.services.truncate(1));
        platform.post(refresh, &json!({})).await;
        assert_eq!(swept().await, 1);
        assert_eq!(platform.get("/v1/serviceclass").await.body.as_array().unwrap().len(), 1);
        platform.finish().await;
    }
}
