//! `PUT /v1/serviceclass/{name}`: sets the default plan of a class that the organization has, or takes it away.

use dispatch_api::service_class::ServiceClassInput;
use dispatch_model::Kind;

use super::{Which, decision::decide, find_class, shape};
use crate::http::{Answer, ApiError, Call};

pub async fn update(call: &Call) -> Result<Answer, ApiError> {
    let input: ServiceClassInput = call.body()?;
    let name = call.path_parameter();
    if input.name.as_deref().is_some_and(|named| named != name) {
        return Err(ApiError::bad_request("the name in the body is not the one in the path"));
    }
    let broker = input.broker.as_deref().or_else(|| call.query("broker"));
    let which = Which { name: Some(name), id: None, broker };
    let find = || async {
        let found = find_class(&call.platform, &call.scope, which, false).await?;
        found.ok_or_else(|| ApiError::not_found(Kind::ServiceClass, name))
    };
    let offering = decide(call, find, |offering, decision| {
        // What is not said stays: a document that was read while its default was not offered does not end it.
        if let Some(name) = &input.default_plan {
            decision.default_plan = offering.default_plan_of(name)?;
        }
        Ok(())
    })
    .await?;
    Answer::json(&shape::to_wire(&offering))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::TestPlatform;

    const CLASS: &str = "/v1/serviceclass/fake-db";

    #[tokio::test]
    async fn an_instance_that_names_no_plan_gets_the_default_one() {
        let platform = TestPlatform::start().await;
        let wish = |name: &str| json!({"name": name, "serviceClass": "fake-db"});
        let none = platform.post("/v1/serviceinstance", &wish("a")).await;
        assert_eq!((none.status, none.body["code"].as_i64()), (422, Some(602)), "{}", none.text);
        let set = platform.put(CLASS, &json!({"name": "fake-db", "defaultPlan": "large"})).await;
        assert_eq!((set.status, &set.body["defaultPlan"]), (200, &json!("large")), "{}", set.text);
        assert_eq!(platform.get(CLASS).await.body["defaultPlan"], "large");
        let made = platform.post("/v1/serviceinstance?wait=30", &wish("a")).await;
        assert_eq!(
            (made.status, &made.body["servicePlan"]),
            (201, &json!("large")),
            "{}",
            made.text
        );

        // The instance has the plan that it was made with, whatever becomes of the default.
        let unset = platform.put(CLASS, &json!({"defaultPlan": ""})).await;
        assert_eq!((unset.status, unset.body.get("defaultPlan")), (200, None), "{}", unset.text);
        assert_eq!(platform.post("/v1/serviceinstance", &wish("b")).await.status, 422);
        assert_eq!(platform.get("/v1/serviceinstance/a").await.body["servicePlan"], "large");
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_plan_that_the_broker_names_is_the_default_until_another_one_is_set() {
        let platform = TestPlatform::with(|settings| {
            for service in &mut settings.catalog.services {
                let metadata = service.metadata.get_or_insert_default();
                metadata.insert("defaultPlan".to_owned(), json!("small"));
            }
        })
        .await;
        let check = async |set: Option<&str>, expect: Option<&str>| {
            if let Some(set) = set {
                platform.put(CLASS, &json!({"defaultPlan": set})).await;
            }
            let found = platform.get(CLASS).await.body;
            assert_eq!(found.get("defaultPlan").and_then(|plan| plan.as_str()), expect, "{set:?}");
        };
        check(None, Some("small")).await;
        let wish = json!({"name": "a", "serviceClass": "fake-db"});
        let made = platform.post("/v1/serviceinstance?wait=30", &wish).await;
        assert_eq!(made.body["servicePlan"], "small", "{}", made.text);
        check(Some("large"), Some("large")).await;
        check(Some(""), Some("small")).await;
        // A name that is no plan of the organization's is nothing.
        let url = platform.broker.url();
        let less = json!({"name": "fake", "url": url, "serviceClasses": {"fake-db": {"plans": ["large", "silent"]}}});
        platform.put("/v1/servicebroker/fake?wait=30", &less).await;
        check(None, None).await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_default_plan_must_be_one_that_the_organization_has() {
        let platform = TestPlatform::unregistered().await;
        let url = platform.broker.url();
        let some = json!({"fake-db": {"plans": ["small", "large"]}});
        let broker = |classes: &serde_json::Value| json!({"name": "fake", "url": url, "serviceClasses": classes});
        platform.post("/v1/servicebroker", &broker(&some)).await;
        for plan in ["nope", "rotating"] {
            let refused = platform.put(CLASS, &json!({"defaultPlan": plan})).await;
            let why =
                format!("defaultPlan in body: fake-db has no plan {plan}; there is small, large");
            assert_eq!((refused.status, &refused.body["message"]), (400, &json!(why)));
        }
        let other = platform.put(CLASS, &json!({"name": "x", "defaultPlan": "small"})).await;
        assert_eq!(other.status, 400, "{}", other.text);
        for (path, body) in [
            ("/v1/serviceclass/nope", json!({"defaultPlan": "small"})),
            ("/v1/serviceclass/fake-kv", json!({"defaultPlan": "only"})),
            (CLASS, json!({"broker": "nope", "defaultPlan": "small"})),
            ("/v1/serviceclass/fake-db?broker=nope", json!({"defaultPlan": "small"})),
        ] {
            assert_eq!(platform.put(path, &body).await.status, 404, "{path} {body}");
        }
        assert_eq!(platform.get(CLASS).await.body.get("defaultPlan"), None);

        // With the class comes its default, and one that is offered no more is said to be so, until it is again.
        let kv = json!({"name": "fake-kv", "broker": "fake", "defaultPlan": "only"});
        let made = platform.post("/v1/serviceclass", &kv).await;
        assert_eq!(
            (made.status, &made.body["defaultPlan"]),
            (201, &json!("only")),
            "{}",
            made.text
        );
        platform.put(CLASS, &json!({"defaultPlan": "large"})).await;
        let less = json!({"fake-db": {"plans": ["small", "rotating"]}});
        platform.put("/v1/servicebroker/fake?wait=30", &broker(&less)).await;
        let class = platform.get(CLASS).await.body;
        assert_eq!(class.get("defaultPlan"), None, "{class}");
        assert_eq!(class["reason"], json!(["the plan set as its default is not offered any more"]));
        let wish = json!({"name": "a", "serviceClass": "fake-db"});
        let none = platform.post("/v1/serviceinstance", &wish).await;
        let lost = "servicePlan in body is required: fake-db has small, rotating; \
                    the plan set as its default is not offered any more";
        assert_eq!((none.status, &none.body["message"]), (422, &json!(lost)));
        // Whoever puts back what was read, or misspells, does not end it.
        let again = platform.put(CLASS, &json!({"name": "fake-db", "default_plan": "small"})).await;
        assert_eq!((again.status, again.body.get("defaultPlan")), (200, None), "{}", again.text);
        platform.put("/v1/servicebroker/fake?wait=30", &broker(&some)).await;
        assert_eq!(platform.get(CLASS).await.body["defaultPlan"], "large");
        platform.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn decisions_at_one_time_do_not_undo_each_other() {
        let platform = TestPlatform::start().await;
        for _ in 0..20 {
            let (large, nothing) = (json!({"defaultPlan": "large"}), json!({}));
            let (set, off) = tokio::join!(platform.put(CLASS, &large), platform.delete(CLASS));
            assert!(matches!(set.status, 200 | 404), "{}", set.text);
            assert_eq!(off.status, 200, "{}", off.text);
            assert_eq!(platform.get(CLASS).await.status, 404, "{} undid {}", set.text, off.text);
            assert_eq!(platform.put(CLASS, &nothing).await.status, 404);
            let body = json!({"name": "fake-db", "broker": "fake"});
            assert_eq!(platform.post("/v1/serviceclass", &body).await.status, 201);
        }
        platform.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn first_decisions_at_one_time_are_all_taken() {
        let platform = TestPlatform::start().await;
        for round in 0..10 {
            let broker = format!("copy-{round}");
            platform.register(&broker).await;
            let set = json!({"broker": broker, "defaultPlan": "large"});
            let put = || platform.put(CLASS, &set);
            let (a, b, c, d) = tokio::join!(put(), put(), put(), put());
            for one in [a, b, c, d] {
                assert_eq!(one.status, 200, "{}", one.text);
            }
        }
        platform.finish().await;
    }
}
