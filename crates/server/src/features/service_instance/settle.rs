//! When an instance has settled: it is READY or ERROR and so is its automatic binding, or it is gone (decision 9).

use dispatch_model::{
    Id, Object, Phase,
    service_binding::{self, ServiceBinding},
    service_instance::{ServiceInstance, phase},
};
use dispatch_store::{OrgScope, Stored};
use uuid::Uuid;

use super::shape;
use crate::{
    http::{ApiError, Settling},
    platform::Platform,
};

pub async fn settling(
    platform: &Platform,
    scope: &OrgScope,
    id: Uuid,
) -> Result<Settling, ApiError> {
    let id: Id<ServiceInstance> = Id::from_uuid(id);
    let Some(stored) = platform.store.get_by_id::<ServiceInstance>(scope, id).await? else {
        return Ok(Settling::Settled(None));
    };
    let Stored::Readable(instance) = stored else {
        return Settling::of(true, &shape::stored_to_wire(platform, stored).await?, Vec::new());
    };
    let binding = shape::automatic_binding(platform, &instance).await?;
    let wire = shape::to_wire_with(platform, &instance, binding.as_ref()).await?;
    let mut on = vec![id.uuid()];
    on.extend(binding.as_ref().map(|binding| binding.meta.id.uuid()));
    Settling::of(is_settled(&instance, binding.as_ref()), &wire, on)
}

fn is_settled(
    instance: &Object<ServiceInstance>,
    binding: Option<&Object<ServiceBinding>>,
) -> bool {
    match phase(instance).0 {
        Phase::Ready if instance.meta.deleting.is_none() => {
            // Not there: somebody has deleted it by itself.
            !instance.spec.bindable
                || binding.is_none_or(|binding| service_binding::phase(binding).0.is_settled())
        }
        Phase::Error => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use dispatch_osb::fake::{CallKind, End, Fault, RawAnswer, Work};
    use serde_json::{Value, json};

    use crate::testing::TestPlatform;

    const DB: &str = "/v1/serviceinstance/db";

    async fn seen(platform: &TestPlatform) -> (Value, Value) {
        platform.quiet().await;
        let body = platform.get(DB).await.body;
        (body["status"].clone(), body["reason"].clone())
    }

    /// Decision 13, row by row: what is inside, `status`, `reason`.
    #[tokio::test]
    async fn the_status_says_how_far_it_is_and_the_reason_why_not_further() {
        let platform = TestPlatform::with(|settings| settings.provision = Work::held()).await;
        // Stored, nothing sent.
        let asked = platform.ask("db").await.body;
        assert_eq!((&asked["status"], &asked["reason"]), (&json!("INITIALIZED"), &json!(null)));
        // Sent, polling.
        assert_eq!(seen(&platform).await, (json!("CREATING"), json!(null)));
        // The last create succeeded.
        platform.broker.release();
        platform.move_on();
        assert_eq!(seen(&platform).await, (json!("READY"), json!(null)));
        // Delete under way, and being retried.
        platform.broker.configure(|settings| settings.deprovision = Work::held());
        platform.delete(DB).await;
        assert_eq!(seen(&platform).await, (json!("DELETING"), json!(null)));
        platform.broker.configure(|settings| {
            settings.deprovision = Work::polls(1);
            settings.provision = Work::default();
        });
        platform.gone_later().await;

        // Waiting to retry: the last error.
        let oops = |status, words| Fault::Instead(RawAnswer::error(status, "", words));
        platform.broker.fault(CallKind::Provision, oops(500, "disk on fire"));
        platform.ask("db").await;
        assert_eq!(seen(&platform).await, (json!("CREATING"), json!(["disk on fire"])));
        platform.broker.fault(CallKind::Provision, oops(429, "slow down"));
        platform.move_on();
        assert_eq!(seen(&platform).await, (json!("CREATING"), json!(["slow down"])));
        // Create ended, by what table A0.1 calls terminal.
        platform.broker.fault(CallKind::Provision, oops(400, "no such size"));
        platform.move_on();
        assert_eq!(seen(&platform).await, (json!("ERROR"), json!(["no such size"])));
        // Delete refused by the broker: nothing is there to be refused, and it is gone at once.
        platform.delete(DB).await;
        platform.quiet().await;
        assert_eq!(platform.get(DB).await.status, 404);

        // Create ended by `failed`: the broker's words, never the mitigation's, which still goes on.
        platform.broker.configure(|settings| {
            settings.provision = Work::polls(0).ending(End::fail("no rack is free"));
        });
        platform.broker.always(CallKind::Deprovision, Some(oops(500, "cannot clean up")));
        platform.ask("db").await;
        let failed = platform.settled(DB).await;
        assert_eq!(
            (&failed["status"], &failed["reason"]),
            (&json!("ERROR"), &json!(["no rack is free"]))
        );
        platform.move_on();
        assert_eq!(seen(&platform).await, (json!("ERROR"), json!(["no rack is free"])));
        assert_eq!(platform.get("/v1/orphan").await.body[0]["lastError"], "cannot clean up");
        platform.finish().await;
    }

    #[tokio::test]
    async fn an_operation_that_takes_too_long_has_failed_and_is_cleaned_up() {
        let platform = TestPlatform::with(|settings| settings.provision = Work::held()).await;
        // An hour, says the plan.
        let body = json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "large"});
        platform.post("/v1/serviceinstance", &body).await;
        platform.quiet().await;
        platform.world.clock.advance(std::time::Duration::from_secs(3_599));
        assert_eq!(seen(&platform).await, (json!("CREATING"), json!(null)));
        platform.world.clock.advance(std::time::Duration::from_secs(11));
        assert_eq!(
            seen(&platform).await,
            (json!("ERROR"), json!(["the broker did not finish in time"]))
        );
        platform.broker.configure(|settings| settings.delete_halts_creation = true);
        platform.finish().await;
    }

    /// A user waits for each of them.
    #[tokio::test]
    async fn from_the_brokers_last_byte_to_ready_there_are_at_most_two_synced_commits() {
        let check = async |pace: fn() -> Work, calls: [CallKind; 2]| {
            let platform = TestPlatform::with(|settings| {
                settings.provision = pace();
                settings.bind = pace();
            })
            .await;
            let commits = || platform.running.platform().store.counters().commits;
            let hanging = async |what: &str| {
                loop {
                    platform.quiet_until(|| platform.broker.books().hanging == 1).await;
                    if platform.broker.books().hanging == 1 {
                        return commits();
                    }
                    assert!(platform.move_on(), "no {what}");
                }
            };
            for call in calls {
                platform.broker.fault(call, Fault::HangAfter);
            }
            let body = json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "small"});
            platform.post("/v1/serviceinstance", &body).await;
            let made = hanging("last byte about the instance").await;
            platform.broker.release();
            platform.broker.until("the next request", |books| books.hanging == 0).await;
            let held = platform.get("/v1/serviceinstance/db?wait=60");
            let bound = async {
                let bound = hanging("last byte about the binding").await;
                platform.broker.release();
                bound
            };
            let (held, bound) = tokio::join!(held, bound);
            let ready = commits();
            assert_eq!(held.body["binding"]["status"], "READY", "{}", held.text);
            platform.finish().await;
            (bound - made, ready - bound)
        };
        // READY of the instance, and the binding's intention; then READY of the binding.
        let at_once = check(Work::default, [CallKind::Provision, CallKind::Bind]).await;
        assert_eq!(at_once, (2, 1));
        // Besides: that the broker works on the binding, and that it is done and is to be fetched.
        let polled = check(|| Work::polls(0), [CallKind::PollInstance, CallKind::GetBinding]).await;
        assert_eq!(polled, (4, 1));
    }
}
