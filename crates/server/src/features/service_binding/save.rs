//! Saving what an answer teaches, once and as a whole: a binding's READY and its secret are one batch (decision 3).

use dispatch_engine::Next;
use dispatch_model::{
    Id, Kind, Name, Object,
    broker_operation::{InFlight, Verb},
    object::{Meta, NoStatus},
    orphan::{self, Orphan},
    secret::{self, Owner, Secret},
    service_binding::{Credentials, ServiceBinding},
    service_instance::ServiceInstance,
};
use dispatch_osb::types::BindingDocument;
use dispatch_store::{Batch, CommitError, ReadError, SealedKey, Stored};
use jiff::Timestamp;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    absorb::{Absorbed, Answer, absorb},
    credentials,
};
use crate::{
    broker_operation::{Abandoned, Circumstances, LATE_WORK, due},
    controller::{self, Trouble},
    features,
    platform::Platform,
    time,
};

/// Absorbs an answer and saves what it teaches. If somebody saved first, the same answer is absorbed again by what is
/// there now; it is dropped only when its operation is no longer the one in flight (decision 2).
pub(super) async fn save(
    platform: &Platform,
    mut binding: Object<ServiceBinding>,
    flight: &InFlight,
    answer: Answer,
    maybe_sent: bool,
) -> Result<Next, Trouble> {
    let instance = controller::load::<ServiceInstance>(platform, binding.spec.instance).await?;
    let polling_seconds_max = match instance.as_ref().map(|instance| &instance.spec) {
        None => None,
        Some(of) => {
            controller::polling_seconds_max(platform, of.broker, &of.service, &of.plan).await
        }
    };
    let generation = binding.meta.generation;
    loop {
        let at = Circumstances {
            now: platform.clock.now(),
            random: platform.entropy.number(),
            polling_seconds_max,
            maybe_sent,
            generation,
            late_until: late_until(&binding, flight),
        };
        let absorbed = absorb(&binding.status, flight, answer.clone(), at);
        match commit(platform, &binding, instance.as_ref(), absorbed, flight).await {
            Err(trouble) if trouble.is_stale() => {}
            // Somebody took the secret's name meanwhile: it then gets another.
            Err(Trouble::Commit(CommitError::Exists { .. })) => {}
            Err(trouble) => return Err(trouble),
            Ok(next) => return Ok(next),
        }
        let Some(now) = controller::load(platform, binding.meta.id).await? else {
            return Ok(Next::Done);
        };
        binding = now;
        if binding.status.in_flight.as_ref().is_none_or(|now| now.id != flight.id) {
            return Ok(Next::Again);
        }
    }
}

/// A removal of what was never seen to exist: a lost request may still make it.
fn late_until(binding: &Object<ServiceBinding>, flight: &InFlight) -> Option<Timestamp> {
    let never_seen = binding.status.attempt == Some(flight.target);
    let removal = flight.verb == Verb::Unbind && never_seen;
    removal.then(|| time::after(flight.begun, LATE_WORK))
}

async fn commit(
    platform: &Platform,
    before: &Object<ServiceBinding>,
    instance: Option<&Object<ServiceInstance>>,
    absorbed: Absorbed,
    flight: &InFlight,
) -> Result<Next, Trouble> {
    let mut after = Object { status: absorbed.status, ..before.clone() };
    if let Some(flight) = &after.status.in_flight
        && only_the_next_poll_differs(before, &after)
    {
        return Ok(due(flight, &after.status.retry).map_or(Next::Again, Next::At));
    }
    let mut batch = Batch::system("answer of a broker");
    if let Some(document) = absorbed.document {
        batch = put_credentials(platform, batch, &mut after, flight, &document).await?;
    }
    if after.status.in_flight.is_none() {
        batch = drop_body(batch, before);
    }
    let mut orphans = Vec::new();
    if let (Some(abandoned), Some(instance)) = (absorbed.orphan, instance) {
        let orphan = abandon(platform, before, instance, flight, abandoned);
        // The instance waits for it too: bindings go before their instance.
        let refs = [instance.spec.broker.uuid(), instance.meta.id.uuid(), before.meta.id.uuid()];
        batch = batch.create(&orphan, &refs, &[]);
        orphans.push(orphan.meta.id.uuid());
    }
    if let (Some(at), Some(instance)) = (absorbed.once_more, instance) {
        let (of, spec) = (before.meta.organization, orphan_spec(instance, flight.target));
        let orphan = features::orphan::once_more(platform, of, spec, at);
        batch = batch.create(&orphan, &[instance.spec.broker.uuid()], &[]);
        orphans.push(orphan.meta.id.uuid());
    }
    // What is unbound has no secret any more.
    if after.status.credentials.is_none() && before.status.credentials.is_some() {
        batch = drop_secret(platform, batch, before).await?;
    }
    controller::commit(platform, "service_binding/answer", batch.update_status(&after)).await?;
    for orphan in orphans {
        platform.wakers.wake(Kind::Orphan, orphan);
    }
    let in_the_way = after.meta.deleting.is_some()
        && after.status.retry.last_error != before.status.retry.last_error;
    if after.status.failure.is_some() || in_the_way {
        // An instance that waits for it to go must say that it does not.
        platform.wakers.wake(Kind::ServiceInstance, before.spec.instance.uuid());
    }
    Ok(Next::Again)
}

/// A poll that learnt nothing is not worth a commit. The next one is due all the same.
fn only_the_next_poll_differs(
    before: &Object<ServiceBinding>,
    after: &Object<ServiceBinding>,
) -> bool {
    let mut after = after.status.clone();
    if let (Some(before), Some(after)) = (&before.status.in_flight, &mut after.in_flight)
        && let (Some(before), Some(after)) = (&before.accepted, &mut after.accepted)
    {
        after.poll_at = before.poll_at;
    }
    after == before.status
}

/// Writes the credentials as the secret's new version, and the whole document beside it.
async fn put_credentials(
    platform: &Platform,
    mut batch: Batch,
    binding: &mut Object<ServiceBinding>,
    flight: &InFlight,
    document: &BindingDocument,
) -> Result<Batch, Trouble> {
    let organization = binding.meta.organization;
    let values = credentials::values(document);
    let keys: Vec<String> = values.keys().map(str::to_owned).collect();
    let old = binding.status.credentials.take();
    let known = match &old {
        Some(old) => controller::load::<Secret>(platform, old.secret).await?,
        None => None,
    };
    let version = old.as_ref().map_or(1, |old| old.version + 1);
    let spec = secret::Spec { keys: keys.clone(), version, owner: Owner::Binding(binding.meta.id) };
    let refs = [binding.meta.id.uuid()];
    let secret = match known {
        Some(secret) => {
            let before = SealedKey { owner: secret.meta.id.uuid(), version: secret.spec.version };
            let secret = Object { spec, ..secret };
            batch = batch.update_spec(&secret, &refs, &[]).unseal_delete(before);
            secret
        }
        None => {
            let id = platform.entropy.uuid();
            let name = secret_name(platform, binding, id).await?;
            let meta = Meta::new(
                Id::from_uuid(id),
                organization,
                name,
                platform.clock.now(),
                Default::default(),
            );
            let secret = Object::<Secret> { meta, spec, status: NoStatus {} };
            batch = batch.create(&secret, &refs, &[]);
            secret
        }
    };
    batch = batch.put_secret_values(organization, secret.meta.id, version, &values);
    if let Some(old) = &old {
        batch = batch.unseal_delete(document_key(binding.meta.id.uuid(), old.version));
    }
    if let Ok(text) = serde_json::to_vec(document) {
        let key = document_key(binding.meta.id.uuid(), version);
        batch = batch.seal(organization, key, Zeroizing::new(text));
    }
    binding.status.credentials = Some(Credentials {
        secret: secret.meta.id,
        secret_name: secret.meta.name.clone(),
        keys,
        version,
        broker_binding_id: flight.target,
        endpoints: credentials::endpoints(document),
        expires: credentials::expires(document),
    });
    Ok(batch)
}

/// Clients of the first Dispatch look for the automatic binding's credentials under the instance's id. If somebody
/// has taken that name, the binding's id or, in the end, the secret's own is it.
async fn secret_name(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
    secret: Uuid,
) -> Result<Name, ReadError> {
    let scope = platform.system.organization(binding.meta.organization);
    let instance = binding.spec.automatic.then_some(binding.spec.instance.uuid());
    let name = |id: Uuid| id.to_string().parse().expect("a UUID's text is a name");
    for id in instance.into_iter().chain([binding.meta.id.uuid()]) {
        let name: Name = name(id);
        if platform.store.get::<Secret>(&scope, &name).await?.is_none() {
            return Ok(name);
        }
    }
    Ok(name(secret))
}

/// Where the whole binding document of a version is sealed: `context.services` is made of it.
pub fn document_key(binding: Uuid, version: u64) -> SealedKey {
    SealedKey { owner: Uuid::new_v5(&binding, b"document"), version }
}

pub(super) async fn drop_secret(
    platform: &Platform,
    mut batch: Batch,
    binding: &Object<ServiceBinding>,
) -> Result<Batch, ReadError> {
    let Some(credentials) = &binding.status.credentials else { return Ok(batch) };
    batch = batch.unseal_delete(document_key(binding.meta.id.uuid(), credentials.version));
    let stored = platform.store.get_by_id(&platform.system, credentials.secret).await?;
    let Some(Stored::Readable(secret)) = stored else { return Ok(batch) };
    let key = SealedKey { owner: secret.meta.id.uuid(), version: secret.spec.version };
    Ok(batch.delete(&secret).unseal_delete(key))
}

/// Without the exact body, which nobody will send again.
pub(super) fn drop_body(batch: Batch, before: &Object<ServiceBinding>) -> Batch {
    match before.status.in_flight.as_ref().and_then(|flight| flight.body) {
        Some(version) => batch.unseal_delete(SealedKey { owner: before.meta.id.uuid(), version }),
        None => batch,
    }
}

/// The end of the object. Its instance may be waiting for it.
pub(super) async fn forget(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
) -> Result<(), Trouble> {
    let batch = drop_body(Batch::system("binding deleted"), binding);
    let batch = drop_secret(platform, batch, binding).await?;
    controller::commit(platform, "service_binding/forget", batch.delete(binding)).await?;
    platform.wakers.wake(Kind::ServiceInstance, binding.spec.instance.uuid());
    Ok(())
}

fn abandon(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
    instance: &Object<ServiceInstance>,
    flight: &InFlight,
    abandoned: Abandoned,
) -> Object<Orphan> {
    let (cause, unanswered) = (abandoned.cause, abandoned.unanswered);
    let waiting = vec![instance.meta.id.uuid(), binding.meta.id.uuid()];
    let of = orphan_spec(instance, flight.target);
    let spec = orphan::Spec { cause, unanswered, waiting, ..of };
    features::orphan::object(platform, binding.meta.organization, spec)
}

/// What an orphan of a binding of this instance is in any case.
fn orphan_spec(instance: &Object<ServiceInstance>, target: Uuid) -> orphan::Spec {
    orphan::Spec {
        broker: instance.spec.broker,
        service: instance.spec.service.clone(),
        plan: instance.spec.plan.clone(),
        instance: instance.status.broker_instance_id.unwrap_or(instance.meta.id.uuid()),
        binding: Some(target),
        cause: String::new(),
        unanswered: false,
        not_before: None,
        waiting: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use dispatch_model::{Id, service_binding::ServiceBinding};
    use dispatch_osb::fake::{CallKind, Fault, Work};
    use dispatch_store::Batch;
    use serde_json::json;

    use crate::{controller, testing::TestPlatform};

    const DB: &str = "/v1/serviceinstance/db";

    /// Credentials may be given once only, so that an answer is kept until it is stored (OSB-123, OSB-157).
    #[tokio::test]
    async fn an_answer_that_the_store_cannot_take_yet_is_not_asked_for_again() {
        for point in ["service_instance/answer", "service_binding/answer"] {
            let platform = TestPlatform::refusing(point, 4).await;
            platform.broker.configure(|settings| settings.credentials_once = true);
            platform.instance("db").await;
            let books = platform.broker.books();
            let asked = (books.count(CallKind::Provision), books.count(CallKind::Bind));
            assert_eq!(asked, (1, 1), "{point}");
            platform.finish().await;
        }
        let platform = TestPlatform::refusing("service_binding/answer", 6).await;
        platform.broker.configure(|settings| {
            settings.credentials_once = true;
            settings.bind = Work::polls(1);
        });
        let body = json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "small"});
        platform.post("/v1/serviceinstance", &body).await;
        platform.until(DB, |seen| (seen.body["binding"]["status"] == "READY").then_some(())).await;
        let books = platform.broker.books();
        assert_eq!((books.count(CallKind::Bind), books.count(CallKind::GetBinding)), (1, 1));
        platform.finish().await;
    }

    #[tokio::test]
    async fn an_answer_is_saved_although_somebody_else_saved_first() {
        let platform = TestPlatform::start().await;
        platform.broker.configure(|settings| settings.credentials_once = true);
        platform.broker.fault(CallKind::Bind, Fault::HangAfter);
        platform.ask("db").await;
        platform.broker.until("the request", |books| books.hanging == 1).await;
        let seen = platform.get("/v1/servicebinding/db").await.body;
        let id: Id<ServiceBinding> = Id::from_uuid(seen["id"].as_str().unwrap().parse().unwrap());
        let parts = platform.running.platform();
        let mut binding = controller::load(parts, id).await.unwrap().unwrap();
        binding.status.retry.last_error = Some("noted by somebody else".to_owned());
        let noted = Batch::system("test").update_status(&binding);
        parts.store.commit(noted).await.unwrap();
        platform.broker.release();
        platform.until(DB, |seen| (seen.body["binding"]["status"] == "READY").then_some(())).await;
        assert_eq!(platform.broker.books().count(CallKind::Bind), 1);
        platform.finish().await;
    }
}
