//! `POST /v1/servicebinding/{name}/rotate`: new credentials, without a redeploy (decision 25).

use dispatch_model::{Kind, service_binding::ServiceBinding};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn rotate(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBinding)?;
    let mut binding = call.find::<ServiceBinding>(&name).await?;
    if binding.meta.deleting.is_some() {
        return Err(ApiError::conflict(format!("service binding {name} is being deleted")));
    }
    if binding.status.credentials.is_none() {
        return Err(ApiError::conflict(format!(
            "service binding {name} has no credentials yet that could be rotated"
        )));
    }
    binding.spec.rotation += 1;
    binding.meta.modified = call.now;
    let (id, instance) = (binding.meta.id.uuid(), binding.spec.instance.uuid());
    let batch =
        call.batch(Kind::ServiceBinding, name.as_str(), id).update_spec(&binding, &[instance], &[]);
    call.platform.store.commit(batch).await?;
    binding.meta.generation += 1;
    call.platform.wakers.wake(Kind::ServiceBinding, id);
    Ok(Answer::json(&shape::to_wire(&binding))?.about(Kind::ServiceBinding, id))
}

#[cfg(test)]
mod tests {
    use dispatch_osb::fake::{CallKind, Fault, RawAnswer, Work};
    use serde_json::{Value, json};

    use crate::testing::TestPlatform;

    const ROTATE: &str = "/v1/servicebinding/db/rotate?wait=60";

    async fn password(platform: &TestPlatform, instance: &Value) -> String {
        let path = format!("/v1/secret/{}", instance["id"].as_str().unwrap());
        platform.get(&path).await.body["secrets"]["password"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn the_successor_is_bound_and_in_use_before_the_predecessor_is_unbound() {
        let platform = TestPlatform::start().await;
        let instance = platform.instance("db").await;
        let before = password(&platform, &instance).await;
        for version in 2..5 {
            let rotated = platform.post(ROTATE, &json!({})).await;
            let seen = &rotated.body;
            assert_eq!(
                (rotated.status, rotated.settled, &seen["status"]),
                (200, true, &json!("READY"))
            );
            assert_eq!(
                (&seen["credentialsVersion"], &seen["secret"]),
                (&json!(version), &instance["id"])
            );
            assert_ne!(password(&platform, &instance).await, before);
            let books = platform.broker.books();
            assert_eq!((books.bindings.len(), books.bindings_ever.len()), (1, version));
        }
        let calls: Vec<CallKind> =
            platform.broker.books().requests.iter().map(|request| request.call).collect();
        assert_eq!(
            calls[2..],
            [
                CallKind::Bind,
                CallKind::Bind,
                CallKind::Unbind,
                CallKind::Bind,
                CallKind::Unbind,
                CallKind::Bind,
                CallKind::Unbind
            ]
        );
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_rotation_takes_as_long_as_the_broker_does_and_the_old_credentials_stay_in_use() {
        let platform = TestPlatform::start().await;
        let rotating = json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "rotating", "binding": {"parameters": {"a": 1}}});
        let instance = platform.post("/v1/serviceinstance?wait=60", &rotating).await.body;
        let before = password(&platform, &instance).await;
        platform.broker.configure(|settings| {
            settings.bind = Work::held();
            settings.unbind = Work::held();
        });
        let path = "/v1/servicebinding/db";
        let asked = platform.post("/v1/servicebinding/db/rotate", &json!({})).await;
        assert_eq!(asked.body["status"], "UPDATING");
        platform.quiet().await;
        assert_eq!(platform.get(path).await.body["status"], "UPDATING");
        assert_eq!(password(&platform, &instance).await, before);
        let sent = platform.broker.books().requests_of(CallKind::Bind)[1].json();
        assert_eq!(
            (&sent["predecessor_binding_id"], sent.get("parameters")),
            (&instance["binding"]["id"], None)
        );
        platform.broker.release();
        platform.move_on();
        platform.quiet().await;
        let seen = platform.get(path).await.body;
        assert_eq!(
            (&seen["status"], &seen["credentialsVersion"]),
            (&json!("UPDATING"), &json!(2)),
            "until the old one is unbound"
        );
        assert_ne!(password(&platform, &instance).await, before);
        platform.broker.release();
        assert_eq!(platform.settled(path).await["status"], "READY");
        assert_eq!(platform.broker.books().bindings.len(), 1);
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_rotation_that_fails_leaves_everything_as_it_was() {
        let platform = TestPlatform::start().await;
        let instance = platform.instance("db").await;
        let before = password(&platform, &instance).await;
        platform
            .broker
            .fault(CallKind::Bind, Fault::Instead(RawAnswer::error(400, "", "too many")));
        let seen = platform.post(ROTATE, &json!({})).await;
        assert_eq!(
            (seen.settled, &seen.body["status"], &seen.body["credentialsVersion"]),
            (true, &json!("READY"), &json!(1))
        );
        let last = &seen.body["lastOperation"];
        assert_eq!((&last["state"], &last["description"]), (&json!("failed"), &json!("too many")));
        assert_eq!(password(&platform, &instance).await, before);
        let seen = platform.post(ROTATE, &json!({})).await;
        assert_eq!(
            (&seen.body["credentialsVersion"], &seen.body["lastOperation"]["state"]),
            (&json!(2), &json!("succeeded"))
        );
        platform.finish().await;
    }

    #[tokio::test]
    async fn what_is_asked_for_during_a_rotation_comes_after_it() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        platform.broker.fault(CallKind::Bind, Fault::HangAfter);
        platform.post("/v1/servicebinding/db/rotate", &json!({})).await;
        platform.broker.until("the successor", |books| books.hanging == 1).await;
        platform.post("/v1/servicebinding/db/rotate", &json!({})).await;
        platform.broker.release();
        let seen = platform.settled("/v1/servicebinding/db").await;
        assert_eq!(seen["credentialsVersion"], 3, "it was wished for twice");

        platform.broker.fault(CallKind::Bind, Fault::HangAfter);
        platform.post("/v1/servicebinding/db/rotate", &json!({})).await;
        platform.broker.until("the successor", |books| books.hanging == 1).await;
        platform.delete("/v1/servicebinding/db").await;
        let refused = platform.post("/v1/servicebinding/db/rotate", &json!({})).await;
        assert_eq!(
            (refused.status, &refused.body["message"]),
            (409, &json!("service binding db is being deleted"))
        );
        platform.broker.release();
        platform.gone("/v1/servicebinding/db").await;
        assert!(platform.broker.books().bindings.is_empty());
        let seen = platform.get("/v1/serviceinstance/db").await.body;
        assert_eq!(
            (&seen["status"], &seen["binding"]["status"]),
            (&json!("READY"), &json!("INITIALIZED"))
        );
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_predecessor_that_the_broker_keeps_is_an_orphan() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        platform
            .broker
            .fault(CallKind::Unbind, Fault::Instead(RawAnswer::error(400, "", "in use")));
        let seen = platform.post(ROTATE, &json!({})).await;
        assert_eq!(
            (&seen.body["status"], &seen.body["credentialsVersion"]),
            (&json!("READY"), &json!(2))
        );
        platform.until("/v1/orphan", |seen| (seen.body == json!([])).then_some(())).await;
        assert_eq!(platform.broker.books().bindings.len(), 1);
        platform.finish().await;
    }

    #[tokio::test]
    async fn there_must_be_something_to_rotate() {
        let platform = TestPlatform::start().await;
        platform
            .broker
            .always(CallKind::Bind, Some(Fault::Instead(RawAnswer::error(400, "", "no"))));
        platform.ask("db").await;
        platform.settled("/v1/serviceinstance/db").await;
        let refused = platform.post(ROTATE, &json!({})).await;
        let message = "service binding db has no credentials yet that could be rotated";
        assert_eq!((refused.status, &refused.body["message"]), (409, &json!(message)));
        assert_eq!(platform.post("/v1/servicebinding/x/rotate", &json!({})).await.status, 404);
        platform.finish().await;
    }
}
