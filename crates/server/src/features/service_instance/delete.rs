//! `DELETE /v1/serviceinstance/{name}`: bindings first, then the instance at the broker, then the name is free.
//! `?purge=true` forgets it without calling the broker (audited). Repeating a refused one tries again.

use dispatch_model::{
    Kind, Name, Object, Phase,
    orphan::Orphan,
    service_binding::{ServiceBinding, phase},
    service_instance::ServiceInstance,
};
use dispatch_store::{Batch, CommitError, ReadError, SealedKey, Stored};
use jiff::Timestamp;
use uuid::Uuid;

use super::shape;
use crate::{
    controller::{self, Trouble},
    features::service_binding,
    http::{Answer, ApiError, Call},
    platform::Platform,
};

/// A purge meets its controller's writes at most this often.
const PURGE_TRIES_MAX: u32 = 20;

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceInstance)?;
    let platform = &call.platform;
    if call.flag("purge")? {
        return purge(call, &name).await;
    }
    let mut instance = call.find::<ServiceInstance>(&name).await?;
    let id = instance.meta.id.uuid();
    let batch = call.batch(Kind::ServiceInstance, name.as_str(), id);
    let (batch, again) = ask(platform, batch, &mut instance, call.now).await?;
    platform.store.commit(batch).await?;
    instance.meta.generation += 1;
    platform.wakers.wake(Kind::ServiceInstance, id);
    for binding in again {
        platform.wakers.wake(Kind::ServiceBinding, binding);
    }
    let wire = shape::to_wire(platform, &instance).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceInstance, id))
}

/// Also one that cannot be read. Its controller may save something at any moment, so this is tried a few times.
async fn purge(call: &Call, name: &Name) -> Result<Answer, ApiError> {
    let platform = &call.platform;
    let mut tries = 0;
    loop {
        let found = platform.store.get::<ServiceInstance>(&call.scope, name).await?;
        let stored =
            found.ok_or_else(|| ApiError::not_found(Kind::ServiceInstance, name.as_str()))?;
        let id = stored.meta().id.uuid();
        let wire = shape::stored_to_wire(platform, stored.clone()).await?;
        let batch = call.batch(Kind::ServiceInstance, name.as_str(), id);
        let batch = purge_into(platform, batch, stored.clone()).await?;
        tries += 1;
        match platform.store.commit(batch).await {
            Err(CommitError::Stale { .. } | CommitError::Referred { .. })
                if tries < PURGE_TRIES_MAX => {}
            done => {
                done?;
                if let Stored::Readable(instance) = stored {
                    platform.wakers.wake(Kind::ServiceBroker, instance.spec.broker.uuid());
                }
                return Answer::json(&wire);
            }
        }
    }
}

/// The same, asked for by the broker's controller.
pub async fn mark_deleting(
    platform: &Platform,
    mut instance: Object<ServiceInstance>,
) -> Result<(), Trouble> {
    let batch = Batch::system("its broker is deleted");
    let (batch, again) = ask(platform, batch, &mut instance, platform.clock.now()).await?;
    controller::commit(platform, "service_instance/mark", batch).await?;
    platform.wakers.wake(Kind::ServiceInstance, instance.meta.id.uuid());
    for binding in again {
        platform.wakers.wake(Kind::ServiceBinding, binding);
    }
    Ok(())
}

/// Asks for an instance to go, and once more for its bindings that the broker has refused to unbind; those.
pub async fn ask(
    platform: &Platform,
    mut batch: Batch,
    instance: &mut Object<ServiceInstance>,
    now: Timestamp,
) -> Result<(Batch, Vec<Uuid>), ReadError> {
    instance.meta.deleting = instance.meta.deleting.or(Some(now));
    instance.meta.modified = now;
    batch = batch.update_spec(instance, &[instance.spec.broker.uuid()], &[]);
    let mut again = Vec::new();
    let (store, id) = (&platform.store, instance.meta.id.uuid());
    for stored in store.list_referring::<ServiceBinding>(&platform.system, id).await? {
        let Stored::Readable(binding) = stored else { continue };
        if binding.meta.deleting.is_some() && phase(&binding).0 == Phase::Error {
            again.push(binding.meta.id.uuid());
            batch = service_binding::ask(batch, binding, now);
        }
    }
    Ok((batch, again))
}

/// Forgets an instance and all that hangs on it, in one batch. The broker is not called.
pub async fn purge_into(
    platform: &Platform,
    mut batch: Batch,
    stored: Stored<ServiceInstance>,
) -> Result<Batch, ReadError> {
    let id = stored.meta().id.uuid();
    let (store, everywhere) = (&platform.store, &platform.system);
    for binding in store.list_referring::<ServiceBinding>(everywhere, id).await? {
        batch = service_binding::purge_into(platform, batch, binding).await?;
    }
    for orphan in store.list_referring::<Orphan>(everywhere, id).await? {
        batch = batch.delete_meta(orphan.meta());
    }
    if let Stored::Readable(instance) = &stored
        && let Some(version) = instance.status.in_flight.as_ref().and_then(|flight| flight.body)
    {
        batch = batch.unseal_delete(SealedKey { owner: id, version });
    }
    // Not even what was made since we looked may stay behind.
    batch = batch.require_unreferred::<ServiceBinding>(id).require_unreferred::<Orphan>(id);
    Ok(batch.delete_meta(stored.meta()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dispatch_osb::fake::{CallKind, Fault, RawAnswer, Work};
    use serde_json::json;

    use crate::testing::TestPlatform;

    const DB: &str = "/v1/serviceinstance/db";

    #[tokio::test]
    async fn an_instance_is_there_until_it_is_gone_and_then_its_name_is_free() {
        let platform = TestPlatform::with(|settings| {
            settings.deprovision =
                Work { progress: vec!["pulling plugs".into()], ..Work::polls(1) };
        })
        .await;
        let first = platform.instance("db").await;
        let asked = platform.delete(DB).await;
        assert_eq!((asked.status, &asked.body["status"]), (200, &json!("DELETING")));
        assert_eq!(platform.ask("db").await.status, 409, "it still has its name");
        platform.quiet().await;
        let seen = platform.get(DB).await.body;
        assert_eq!(
            (&seen["status"], &seen["lastOperation"]["type"]),
            (&json!("DELETING"), &json!("delete"))
        );
        assert_eq!(platform.delete(DB).await.status, 200, "asking again does no harm");
        platform.gone(DB).await;
        assert_eq!(
            platform.get(&format!("/v1/secret/{}", first["id"].as_str().unwrap())).await.status,
            404
        );
        assert_eq!(platform.delete(DB).await.body["message"], "service instance db not found");
        let second = platform.instance("db").await;
        assert_ne!(first["id"], second["id"]);
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_held_delete_is_answered_when_it_is_gone() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        let gone = platform.delete("/v1/serviceinstance/db?wait=60").await;
        assert_eq!((gone.status, gone.settled), (200, true));
        assert_eq!(platform.get(DB).await.status, 404);
        platform.finish().await;
    }

    #[tokio::test]
    async fn what_is_being_created_is_removed_once_it_can_be() {
        let platform = TestPlatform::with(|settings| settings.provision = Work::polls(3)).await;
        platform.ask("db").await;
        platform.quiet().await;
        assert_eq!(platform.get(DB).await.body["status"], "CREATING");
        platform.delete(DB).await;
        platform.gone(DB).await;
        let books = platform.broker.books();
        assert_eq!((books.count(CallKind::Bind), books.count(CallKind::Deprovision)), (0, 1));
        platform.finish().await;
    }

    #[tokio::test]
    async fn what_the_broker_was_never_asked_for_is_forgotten_at_once() {
        let mut platform = TestPlatform::start().await;
        platform.broker.go_down().await;
        platform.ask("db").await;
        platform.quiet().await;
        let seen = platform.get(DB).await.body;
        assert_eq!(seen["status"], "CREATING");
        assert!(seen["reason"][0].as_str().unwrap().starts_with("no connection"), "{seen}");
        let gone = platform.delete("/v1/serviceinstance/db?wait=60").await;
        assert_eq!((gone.status, gone.settled), (200, true));
        assert_eq!(platform.get(DB).await.status, 404);
        platform.broker.come_back().await.unwrap();
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_refused_delete_is_an_error_until_it_is_asked_for_again() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        let no = || Fault::Instead(RawAnswer::error(400, "", "backups run"));
        platform.broker.fault(CallKind::Deprovision, no());
        let held = platform.delete("/v1/serviceinstance/db?wait=60").await;
        assert_eq!((held.status, held.settled, &held.body["status"]), (200, true, &json!("ERROR")));
        assert_eq!(held.body["reason"], json!(["backups run; delete again or purge"]));
        assert_eq!(held.body["conditions"][0]["type"], "DeleteFailed");
        platform.world.clock.advance(Duration::from_secs(86_400));
        platform.quiet().await;
        assert_eq!(platform.broker.books().count(CallKind::Deprovision), 1, "until somebody acts");
        platform.broker.fault(CallKind::Deprovision, no());
        platform.broker.configure(|settings| settings.deprovision = Work::polls(1));
        platform.delete("/v1/serviceinstance/db?wait=60").await;
        platform.delete(DB).await;
        platform.quiet().await;
        let seen = platform.get(DB).await.body;
        assert_eq!((&seen["status"], &seen["conditions"]), (&json!("DELETING"), &json!([])));
        platform.gone(DB).await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_binding_that_the_broker_keeps_is_named_and_asked_for_again_with_its_instance() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        platform
            .post("/v1/servicebinding?wait=30", &json!({"name": "more", "instance": "db"}))
            .await;
        let no = || Fault::Instead(RawAnswer::error(403, "", "sessions are open"));
        platform.broker.always(CallKind::Unbind, Some(no()));
        platform.delete(DB).await;
        let seen = platform.settled(DB).await;
        let words =
            |name| format!("service binding {name}: sessions are open; delete again or purge");
        assert_eq!(seen["reason"], json!([format!("{}; {}", words("db"), words("more"))]));
        assert_eq!(platform.broker.books().count(CallKind::Deprovision), 0);
        platform.broker.clear_faults();
        // One by one, without a word about the instance.
        platform.delete("/v1/servicebinding/more?wait=60").await;
        assert_eq!(platform.get(DB).await.body["status"], "ERROR");
        platform.delete(DB).await;
        platform.gone(DB).await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_failing_delete_is_repeated_ever_more_slowly_and_for_ever() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        let oops = Fault::Instead(RawAnswer::error(500, "", "disk on fire"));
        platform.broker.always(CallKind::Deprovision, Some(oops));
        platform.delete(DB).await;
        for _ in 0..20 {
            platform.quiet().await;
            platform.move_on();
        }
        let seen = platform.get(DB).await.body;
        assert_eq!(
            (&seen["status"], &seen["reason"]),
            (&json!("DELETING"), &json!(["disk on fire"]))
        );
        let before = platform.broker.books().count(CallKind::Deprovision);
        platform.world.clock.advance(Duration::from_secs(1_800));
        platform.quiet().await;
        assert!(platform.broker.books().count(CallKind::Deprovision) <= before + 1);
        platform.broker.clear_faults();
        platform.gone(DB).await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn purge_forgets_it_without_a_call_and_its_late_answer_harms_nobody() {
        let platform = TestPlatform::start().await;
        platform.broker.fault(CallKind::Provision, Fault::HangAfter);
        platform.ask("db").await;
        platform.broker.until("the request", |books| books.hanging == 1).await;
        let purged = platform.delete("/v1/serviceinstance/db?purge=true").await;
        assert_eq!((purged.status, platform.get(DB).await.status), (200, 404));
        let body = json!({"name": "db", "serviceClass": "fake-kv"});
        let again = platform.post("/v1/serviceinstance?wait=60", &body).await.body;
        platform.broker.release();
        platform.quiet().await;
        assert_eq!(platform.get(DB).await.body, again);
        let path = "/v1/serviceinstance/db?wait=60";
        assert_eq!(platform.delete(path).await.status, 200);
        let books = platform.end().await;
        assert_eq!(
            (books.instances.len(), books.count(CallKind::Deprovision)),
            (1, 1),
            "one was purged"
        );
    }

    /// Decision 13: DELETING has the last error, whoever met it.
    #[tokio::test]
    async fn an_instance_that_waits_for_its_bindings_says_why_they_do_not_go() {
        let platform = TestPlatform::start().await;
        let no = |words| Fault::Instead(RawAnswer::error(400, "", words));
        // A binding that was made and given up; the broker refuses to take it back.
        platform.broker.fault(CallKind::Bind, Fault::After(RawAnswer::error(500, "", "oops")));
        platform.broker.fault(CallKind::Unbind, no("ask the vendor"));
        let asked = platform.ask("db").await.body;
        platform.quiet().await;
        let orphan = platform.get("/v1/orphan").await.body[0]["bindingId"].clone();
        let orphan = orphan.as_str().unwrap();
        platform.delete(DB).await;
        platform.quiet().await;
        let seen = platform.get(DB).await.body;
        let waits = |words| {
            json!([format!(
                "binding {orphan}, which was given up, is still at the broker: {words}"
            )])
        };
        assert_eq!(seen["id"], asked["id"]);
        assert_eq!(
            (&seen["status"], &seen["reason"]),
            (&json!("DELETING"), &waits("ask the vendor"))
        );
        // And once more, in other words.
        platform.broker.fault(CallKind::Unbind, no("ask somebody else"));
        platform.until("/v1/orphan", |seen| (seen.body[0]["tries"] == 2).then_some(())).await;
        platform.quiet().await;
        assert_eq!(platform.get(DB).await.body["reason"], waits("ask somebody else"));
        platform.gone(DB).await;

        // One that is being retried.
        platform.instance("db").await;
        let oops = Fault::Instead(RawAnswer::error(500, "", "disk on fire"));
        platform.broker.fault(CallKind::Unbind, oops);
        platform.delete(DB).await;
        platform.quiet().await;
        let seen = platform.get(DB).await.body;
        let why = json!(["service binding db: disk on fire"]);
        assert_eq!((&seen["status"], &seen["reason"]), (&json!("DELETING"), &why));
        platform.gone(DB).await;
        platform.finish().await;
    }
}
