//! `POST /v1/serviceclass`: makes a class of a broker's catalogue available to the organization (the seed's CREATE).

use dispatch_api::service_class::ServiceClassInput;
use dispatch_model::Kind;

use super::{Which, decision::decide, find_class, shape};
use crate::http::{Answer, ApiError, Call};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let input: ServiceClassInput = call.body()?;
    let name = input.name.as_deref().ok_or_else(|| ApiError::required("name"))?;
    let which = Which { name: Some(name), id: None, broker: input.broker.as_deref() };
    let find = || async {
        let found = find_class(&call.platform, &call.scope, which, true).await?;
        let offering = found.ok_or_else(|| {
            let place = match which.broker {
                Some(broker) => format!("not in the catalogue of a broker {broker}"),
                None => "in no broker's catalogue".to_owned(),
            };
            ApiError::bad_request(format!("Service class {name} is {place}"))
        })?;
        match offering.is_enabled() {
            true => Err(ApiError::already_exists(Kind::ServiceClass, name)),
            false => Ok(offering),
        }
    };
    let offering = decide(call, find, |offering, decision| {
        decision.enabled = Some(true);
        let default_plan = input.default_plan.as_deref().unwrap_or_default();
        decision.default_plan = offering.default_plan_of(default_plan)?;
        Ok(())
    })
    .await?;
    Answer::json(&shape::to_wire(&offering))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::TestPlatform;

    #[tokio::test]
    async fn a_class_is_disabled_and_enabled_again_and_old_instances_live_on() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        let class = json!({"name": "fake-kv"});
        let twice = platform.post("/v1/serviceclass", &class).await;
        assert_eq!(
            (twice.status, &twice.body["message"]),
            (409, &json!("service class fake-kv already exists"))
        );
        let off = platform.delete("/v1/serviceclass/fake-kv").await;
        assert_eq!((off.status, &off.body["enabled"]), (200, &json!(false)), "{}", off.text);
        assert_eq!(platform.get("/v1/serviceclass/fake-kv").await.status, 404);
        assert_eq!(platform.delete("/v1/serviceclass/fake-kv").await.status, 404);
        assert_eq!(platform.ask("db2").await.status, 400);
        assert_eq!(platform.get("/v1/serviceinstance/db").await.body["status"], "READY");
        let more = json!({"name": "more", "instance": "db"});
        let bound = platform.post("/v1/servicebinding?wait=30", &more).await;
        assert_eq!(bound.body["status"], "READY", "{}", bound.text);

        let on = platform.post("/v1/serviceclass", &class).await;
        assert_eq!((on.status, &on.body["enabled"]), (201, &json!(true)), "{}", on.text);
        assert_eq!(platform.ask("db2").await.status, 201);
        let none = platform.post("/v1/serviceclass", &json!({"name": "x"})).await;
        assert_eq!(
            (none.status, &none.body["message"]),
            (400, &json!("Service class x is in no broker's catalogue"))
        );
        assert_eq!(platform.post("/v1/serviceclass", &json!({})).await.body["code"], 602);
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_class_with_any_characters_in_its_name_is_found_by_its_encoded_path() {
        let platform = TestPlatform::start().await;
        let found = platform.get("/v1/serviceclass/Odd%20&%20p.mysql%2F%C3%BC").await;
        assert_eq!((found.status, &found.body["name"]), (200, &json!("Odd & p.mysql/ü")));
        let body = json!({"name": "db", "serviceClass": "Odd & p.mysql/ü"});
        let made = platform.post("/v1/serviceinstance?wait=30", &body).await;
        assert_eq!((made.status, &made.body["status"]), (201, &json!("READY")), "{}", made.text);
        assert_eq!(made.body["binding"]["status"], "READY");
        platform.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_decision_about_a_class_holds_whatever_becomes_of_its_broker_meanwhile() {
        let platform = TestPlatform::start().await;
        for round in 0..60 {
            let decide = async {
                match round % 2 {
                    0 => platform.delete("/v1/serviceclass/fake-kv").await,
                    _ => platform.post("/v1/serviceclass", &json!({"name": "fake-kv"})).await,
                }
            };
            let nothing = json!({});
            let change = platform.post("/v1/servicebroker/fake/refresh", &nothing);
            let (decided, changed) = tokio::join!(decide, change);
            assert!(matches!(decided.status, 200 | 201), "{round}: {}", decided.text);
            assert_ne!(changed.status, 500, "{}", changed.text);
        }
        platform.finish().await;
    }
}
