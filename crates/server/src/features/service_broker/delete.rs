//! `DELETE /v1/servicebroker/{name}`: takes its classes with it. With live instances it is refused, unless
//! `?cascade=true` (removes them first) or `?purge=true` (forgets all without calling the broker; audited).

use std::collections::BTreeMap;

use dispatch_model::{
    Kind, Name, Object, Phase,
    orphan::Orphan,
    service_broker::ServiceBroker,
    service_instance::{ServiceInstance, phase},
};
use dispatch_store::{CommitError, Stored};

use super::{act, shape};
use crate::{
    features::service_instance,
    http::{Answer, ApiError, Call},
};

/// A deletion meets others' writes at most this often.
const TRIES_MAX: u32 = 20;

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBroker)?;
    if call.flag("purge")? {
        return purge(call, &name).await;
    }
    let cascade = call.flag("cascade")?;
    let mut tries = 0;
    loop {
        let broker = call.find::<ServiceBroker>(&name).await?;
        tries += 1;
        match mark_deleting(call, broker, cascade).await? {
            // Somebody has made an instance since we looked.
            Err(CommitError::Referred { .. }) if tries < TRIES_MAX => {}
            marked => {
                let broker = marked?;
                let wire = shape::to_wire(&call.platform, &broker).await?;
                return Ok(Answer::json(&wire)?.about(Kind::ServiceBroker, broker.meta.id.uuid()));
            }
        }
    }
}

/// The broker as it is then.
async fn mark_deleting(
    call: &Call,
    mut broker: Object<ServiceBroker>,
    cascade: bool,
) -> Result<Result<Object<ServiceBroker>, CommitError>, ApiError> {
    let (id, name) = (broker.meta.id.uuid(), broker.meta.name.clone());
    let store = &call.platform.store;
    let instances = store.list_referring::<ServiceInstance>(&call.scope, id).await?;
    if !cascade && !instances.is_empty() {
        let users: Vec<String> =
            instances.iter().map(|stored| stored.meta().name.to_string()).collect();
        return Err(act::in_use(name.as_str(), &users));
    }
    broker.meta.deleting = broker.meta.deleting.or(Some(call.now));
    broker.meta.modified = call.now;
    broker.spec.cascade |= cascade;
    let mut batch =
        call.batch(Kind::ServiceBroker, name.as_str(), id).update_spec(&broker, &[], &[]);
    if !cascade {
        batch = batch.require_unreferred::<ServiceInstance>(id);
    }
    let mut wake = vec![(Kind::ServiceBroker, id)];
    // Those that the broker has refused to remove are asked for once more.
    for stored in instances {
        let Stored::Readable(mut instance) = stored else { continue };
        if instance.meta.deleting.is_some() && phase(&instance).0 == Phase::Error {
            wake.push((Kind::ServiceInstance, instance.meta.id.uuid()));
            let asked = service_instance::ask(&call.platform, batch, &mut instance, call.now);
            let (and, bindings) = asked.await?;
            batch = and;
            wake.extend(bindings.into_iter().map(|binding| (Kind::ServiceBinding, binding)));
        }
    }
    if let Err(error) = store.commit(batch).await {
        return Ok(Err(error));
    }
    broker.meta.generation += 1;
    for (kind, id) in wake {
        call.platform.wakers.wake(kind, id);
    }
    Ok(Ok(broker))
}

/// Forgets the broker and everything that stands on it. What exists at the broker stays there.
async fn purge(call: &Call, name: &Name) -> Result<Answer, ApiError> {
    let platform = &call.platform;
    let mut tries = 0;
    loop {
        let broker = call.find::<ServiceBroker>(name).await?;
        let id = broker.meta.id.uuid();
        let wire = shape::to_wire(platform, &broker).await?;
        let mut batch = call.batch(Kind::ServiceBroker, name.as_str(), id);
        let mut orphans = BTreeMap::new();
        for stored in platform.store.list_referring::<Orphan>(&call.scope, id).await? {
            orphans.insert(stored.meta().id.uuid(), stored);
        }
        for stored in platform.store.list_referring::<ServiceInstance>(&call.scope, id).await? {
            let instance = stored.meta().id.uuid();
            batch = service_instance::purge_into(platform, batch, stored).await?;
            // Orphans of its bindings have gone with it.
            for gone in platform.store.list_referring::<Orphan>(&call.scope, instance).await? {
                orphans.remove(&gone.meta().id.uuid());
            }
        }
        for orphan in orphans.values() {
            batch = batch.delete_meta(orphan.meta());
        }
        let batch = act::leave(platform, batch, &broker).await?.delete(&broker);
        tries += 1;
        match platform.store.commit(batch).await {
            Err(
                CommitError::Stale { .. } | CommitError::Gone { .. } | CommitError::Referred { .. },
            ) if tries < TRIES_MAX => {}
            done => {
                done?;
                platform.brokers.forget(broker.meta.id);
                // A process of the server's own, and what it kept, ends there.
                platform.wakers.wake(Kind::ServiceBroker, id);
                return Answer::json(&wire);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dispatch_osb::fake::{CallKind, Fault, RawAnswer};
    use serde_json::json;

    use crate::testing::TestPlatform;

    const BROKER: &str = "/v1/servicebroker/fake";

    #[tokio::test]
    async fn a_broker_without_instances_goes_with_its_classes_and_its_name_is_free() {
        let platform = TestPlatform::start().await;
        platform.delete("/v1/serviceclass/fake-kv").await;
        let gone = platform.delete("/v1/servicebroker/fake?wait=30").await;
        assert_eq!((gone.status, gone.settled), (200, true), "{}", gone.text);
        assert_eq!(platform.get(BROKER).await.status, 404);
        assert_eq!(platform.get("/v1/serviceclass").await.body, json!([]));
        assert_eq!(platform.delete(BROKER).await.status, 404);
        let again = platform.register("fake").await;
        assert_eq!(again.body["serviceClasses"]["fake-kv"]["enabled"], json!(true));
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_broker_in_use_is_kept_and_the_answer_names_the_instances() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        let refused = platform.delete(BROKER).await;
        assert_eq!(refused.status, 409);
        let message = refused.body["message"].as_str().unwrap();
        assert!(
            message.starts_with("service broker fake is used by service instance db;"),
            "{message}"
        );
        assert_eq!(platform.get(BROKER).await.body["status"], "READY");
        platform.finish().await;
    }

    #[tokio::test]
    async fn cascade_removes_bindings_then_instances_then_the_broker() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        platform.instance("db2").await;
        let asked = platform.delete("/v1/servicebroker/fake?cascade=true").await;
        assert_eq!((asked.status, &asked.body["status"]), (200, &json!("DELETING")));
        platform.gone(BROKER).await;
        assert_eq!(platform.get("/v1/serviceinstance").await.body, json!([]));
        let books = platform.broker.books();
        assert_eq!((books.count(CallKind::Unbind), books.count(CallKind::Deprovision)), (2, 2));
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_cascade_that_the_broker_refuses_goes_on_when_it_is_asked_for_again() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        let no = Fault::Instead(RawAnswer::error(400, "", "not today"));
        platform.broker.fault(CallKind::Deprovision, no);
        platform.delete("/v1/servicebroker/fake?cascade=true").await;
        let seen = platform.settled("/v1/serviceinstance/db").await;
        assert_eq!(seen["reason"], json!(["not today; delete again or purge"]));
        assert_eq!(platform.get(BROKER).await.body["status"], "DELETING");
        platform.delete("/v1/servicebroker/fake?cascade=true").await;
        platform.gone(BROKER).await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn purge_forgets_all_without_a_call() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        for call in [CallKind::Unbind, CallKind::Deprovision] {
            platform.broker.always(call, Some(Fault::Instead(RawAnswer::empty(500))));
        }
        platform.broker.fault(CallKind::Bind, Fault::After(RawAnswer::empty(500)));
        platform.post("/v1/servicebinding", &json!({"name": "more", "instance": "db"})).await;
        platform.broker.fault(CallKind::Provision, Fault::After(RawAnswer::empty(500)));
        platform.ask("db2").await;
        platform.quiet().await;
        assert_eq!(platform.get("/v1/orphan").await.body.as_array().unwrap().len(), 2);
        let calls = platform.broker.books().requests.len();
        let purged = platform.delete("/v1/servicebroker/fake?purge=true").await;
        assert_eq!(purged.status, 200, "{}", purged.text);
        for path in [BROKER, "/v1/serviceinstance/db", "/v1/servicebinding/db"] {
            assert_eq!(platform.get(path).await.status, 404, "{path}");
        }
        for path in ["/v1/secret", "/v1/orphan", "/v1/servicebinding"] {
            assert_eq!(platform.get(path).await.body, json!([]), "{path}");
        }
        platform.quiet().await;
        let books = platform.end().await;
        assert_eq!((books.requests.len(), books.instances.len()), (calls, 2));
    }

    #[tokio::test]
    async fn a_broker_waits_for_what_may_be_left_of_abandoned_attempts() {
        let platform = TestPlatform::start().await;
        platform.broker.fault(CallKind::Provision, Fault::After(RawAnswer::error(500, "", "oops")));
        let closed = Fault::Instead(RawAnswer::error(503, "", "closed for lunch"));
        platform.broker.always(CallKind::Deprovision, Some(closed));
        platform.ask("db").await;
        platform.until("/v1/orphan", |seen| (seen.body != json!([])).then_some(())).await;
        let asked = platform.delete("/v1/servicebroker/fake?cascade=true").await;
        assert_eq!(asked.body["status"], "DELETING");
        platform.quiet().await;
        let seen = platform.get(BROKER).await.body;
        let reason = seen["reason"][0].as_str().unwrap_or_default();
        assert_eq!(seen["status"], "DELETING");
        assert!(reason.ends_with("is still at the broker: closed for lunch"), "{seen}");
        platform.broker.clear_faults();
        platform.gone(BROKER).await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_broker_that_waits_for_an_instance_says_why_that_does_not_go() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        let no = Fault::Instead(RawAnswer::error(400, "", "not today"));
        platform.broker.fault(CallKind::Deprovision, no);
        platform.delete("/v1/servicebroker/fake?cascade=true").await;
        platform.quiet().await;
        let seen = platform.get(BROKER).await.body;
        let why = json!(["service instance db: not today; delete again or purge"]);
        assert_eq!((&seen["status"], &seen["reason"]), (&json!("DELETING"), &why));
        platform.delete("/v1/servicebroker/fake?cascade=true").await;
        platform.gone(BROKER).await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_cascading_delete_names_what_cannot_be_read() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        platform.instance("odd").await;
        let spoilt = "UPDATE object SET spec = '{\"v\":999}' WHERE kind = ";
        let spoil = |kind: &str| {
            assert_eq!(platform.spoil(&format!("{spoilt}'{kind}' AND name = 'odd'")), 1);
        };
        let reason = async |path: &str| {
            platform.until(path, |one| one.body["reason"][0].as_str().map(str::to_owned)).await
        };
        spoil("ServiceBinding");
        platform.delete("/v1/serviceinstance/odd").await;
        let why = reason("/v1/serviceinstance/odd").await;
        assert!(why.starts_with("service binding odd: it cannot be read: "), "{why}");
        spoil("ServiceInstance");
        platform.delete("/v1/servicebroker/fake?cascade=true").await;
        let why = reason("/v1/servicebroker/fake").await;
        assert!(why.starts_with("service instance odd: it cannot be read: "), "{why}");
        platform.gone("/v1/serviceinstance/db").await;
        platform.end().await;
    }
}
