//! Saving what an answer teaches, once and as a whole: a binding's READY and its secret are one batch (decision 3).

use dispatch_engine::Next;
use dispatch_model::{
    Id, Kind, Name, Object,
    broker_operation::InFlight,
    object::{Meta, NoStatus},
    orphan::{self, Orphan},
    secret::{self, Owner, Secret},
    service_binding::{Credentials, ServiceBinding},
    service_instance::ServiceInstance,
};
use dispatch_osb::types::BindingDocument;
use dispatch_store::{Batch, CommitError, ReadError, SealedKey, Stored};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    absorb::{Absorbed, Answer, absorb},
    credentials,
};
use crate::{
    broker_operation::{Circumstances, due},
    controller::{self, Trouble},
    platform::Platform,
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
    let instance = controller::load(platform, binding.spec.instance).await?;
    let polling_seconds_max = match &instance {
        None => None,
        Some(Object::<ServiceInstance> { spec, .. }) => {
            let (broker, service, plan) = (spec.broker, &spec.service, &spec.plan);
            controller::polling_seconds_max(platform, broker, service, plan).await?
        }
    };
    loop {
        let at = Circumstances {
            now: platform.clock.now(),
            random: platform.entropy.number(),
            polling_seconds_max,
            maybe_sent,
        };
        let absorbed = absorb(&binding.status, flight, answer.clone(), at);
        match commit(platform, &binding, instance.as_ref(), absorbed, flight).await {
            Err(Trouble::Commit(CommitError::Stale { .. })) => {}
            Err(Trouble::Commit(CommitError::Gone { .. })) => return Ok(Next::Done),
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
    if let (Some(cause), Some(instance)) = (absorbed.orphan, instance) {
        let orphan = orphan(platform, before, instance, flight, cause);
        // The instance waits for it too: bindings go before their instance.
        let (broker, instance) = (instance.spec.broker.uuid(), instance.meta.id.uuid());
        let refs = [broker, instance, before.meta.id.uuid()];
        batch = batch.create(&orphan, &refs, &[]);
    }
    // What is unbound has no secret any more.
    if after.status.credentials.is_none() && before.status.credentials.is_some() {
        batch = drop_secret(platform, batch, before).await?;
    }
    platform.store.commit(batch.update_status(&after)).await?;
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
            let (id, name) = (platform.entropy.uuid(), secret_name(binding));
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

/// Clients of the first Dispatch look for the automatic binding's credentials under the instance's id.
fn secret_name(binding: &Object<ServiceBinding>) -> Name {
    let id =
        if binding.spec.automatic { binding.spec.instance.uuid() } else { binding.meta.id.uuid() };
    id.to_string().parse().expect("a UUID's text is a name")
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
    platform.store.commit(batch.delete(binding)).await?;
    platform.wakers.wake(Kind::ServiceInstance, binding.spec.instance.uuid());
    Ok(())
}

fn orphan(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
    instance: &Object<ServiceInstance>,
    flight: &InFlight,
    cause: String,
) -> Object<Orphan> {
    let id: Id<Orphan> = Id::from_uuid(platform.entropy.uuid());
    let name = id.to_string().parse().expect("a UUID's text is a name");
    let (organization, now) = (binding.meta.organization, platform.clock.now());
    let at_broker = instance.status.broker_instance_id.unwrap_or(instance.meta.id.uuid());
    Object {
        meta: Meta::new(id, organization, name, now, Default::default()),
        spec: orphan::Spec {
            broker: instance.spec.broker,
            service: instance.spec.service.clone(),
            plan: instance.spec.plan.clone(),
            instance: at_broker,
            binding: Some(flight.target),
            cause,
            waiting: vec![instance.meta.id.uuid(), binding.meta.id.uuid()],
        },
        status: orphan::Status::default(),
    }
}
