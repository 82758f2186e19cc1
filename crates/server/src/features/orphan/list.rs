//! `GET /v1/orphan`.

use dispatch_api::orphan::Orphan as Wire;
use dispatch_model::{Kind, Object, Phase, orphan::Orphan, service_broker::ServiceBroker};

use crate::http::{Answer, ApiError, Call};

pub async fn list(call: &Call) -> Result<Answer, ApiError> {
    let mut wires = Vec::new();
    for stored in call.list::<Orphan>().await? {
        let Ok(orphan) = stored.readable() else { continue };
        let store = &call.platform.store;
        let broker = store.get_by_id::<ServiceBroker>(&call.scope, orphan.spec.broker).await?;
        let name = broker.map(|broker| broker.meta().name.to_string());
        wires.push(to_wire(&orphan, name.unwrap_or_default()));
    }
    Answer::json(&wires)
}

fn to_wire(orphan: &Object<Orphan>, broker: String) -> Wire {
    let (spec, status) = (&orphan.spec, &orphan.status);
    let next = status.retry.not_before.or(spec.not_before).unwrap_or(orphan.meta.created);
    Wire {
        id: orphan.meta.id.uuid(),
        kind: Kind::Orphan.as_str().to_owned(),
        broker,
        instance_id: spec.instance.to_string(),
        binding_id: spec.binding.map(|id| id.to_string()),
        cause: spec.cause.clone(),
        tries: status.retry.tries,
        last_error: status.retry.last_error.clone(),
        next_try_time: next.as_second(),
        created_time: orphan.meta.created.as_second(),
        status: Phase::Deleting.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dispatch_osb::fake::{CallKind, Fault, RawAnswer, Work};
    use serde_json::{Value, json};

    use crate::testing::TestPlatform;

    const ALL: &str = "/v1/orphan";

    async fn one(platform: &TestPlatform) -> Value {
        platform.quiet().await;
        platform.get(ALL).await.body[0].clone()
    }

    #[tokio::test]
    async fn an_orphan_is_shown_with_its_ids_and_tries_until_it_is_gone() {
        let platform = TestPlatform::start().await;
        let oops = |words| Fault::Instead(RawAnswer::error(500, "", words));
        platform.broker.fault(CallKind::Provision, Fault::After(RawAnswer::error(500, "", "ouch")));
        platform.broker.faults(CallKind::Deprovision, 2, oops("not now"));
        let asked = platform.ask("db").await.body;
        let seen = one(&platform).await;
        assert_eq!((&seen["instanceId"], seen.get("bindingId")), (&asked["id"], None));
        assert_eq!(
            (&seen["broker"], &seen["cause"], &seen["status"]),
            (&json!("fake"), &json!("ouch"), &json!("DELETING"))
        );
        assert_eq!((&seen["tries"], &seen["lastError"]), (&json!(1), &json!("not now")));
        assert!(seen["nextTryTime"].as_i64().unwrap() > 1_800_000_000 - 1);
        platform.until(ALL, |seen| (seen.body == json!([])).then_some(())).await;
        assert_eq!(platform.settled("/v1/serviceinstance/db").await["status"], "READY");
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_broker_that_may_still_be_at_work_is_asked_until_it_cannot_be() {
        let platform = TestPlatform::start().await;
        // The request is carried out long after everybody has given it up.
        platform.broker.fault(CallKind::Provision, Fault::ResetBefore);
        let asked = platform.ask("db").await.body;
        let seen = one(&platform).await;
        assert_eq!(
            (&seen["instanceId"], &seen["tries"]),
            (&asked["id"], &json!(1)),
            "410 is not the end yet"
        );
        platform.world.clock.advance(Duration::from_secs(30));
        assert_eq!(one(&platform).await["instanceId"], asked["id"]);
        let id = asked["id"].as_str().unwrap().to_owned();
        platform.broker.edit(|books| {
            let late = books.instances.values().next().unwrap().clone();
            books.instances.insert(id.clone(), late);
        });
        platform.until(ALL, |seen| (seen.body == json!([])).then_some(())).await;
        assert!(!platform.broker.books().instances.contains_key(&id));
        platform.finish().await;
    }

    #[tokio::test]
    async fn removing_an_orphan_may_take_time_and_be_refused_for_now() {
        let platform = TestPlatform::with(|settings| settings.deprovision = Work::polls(2)).await;
        platform.broker.fault(CallKind::Provision, Fault::After(RawAnswer::error(500, "", "ouch")));
        platform
            .broker
            .fault(CallKind::Deprovision, Fault::Instead(RawAnswer::error(400, "", "no")));
        platform.ask("db").await;
        assert_eq!(one(&platform).await["lastError"], "no");
        platform.until(ALL, |seen| (seen.body == json!([])).then_some(())).await;
        assert_eq!(platform.broker.books().count(CallKind::Deprovision), 2);
        platform.finish().await;
    }
}
