//! Saving what an answer teaches, once and as a whole: status, orphan, automatic binding, or the object's end.

use dispatch_engine::Next;
use dispatch_model::{
    Id, Kind, Object,
    broker_operation::{InFlight, Presence, Verb},
    object::Meta,
    orphan::{self, Orphan},
    service_binding::{self, ServiceBinding},
    service_instance::ServiceInstance,
};
use dispatch_store::{Batch, CommitError, SealedKey};

use super::absorb::{Absorbed, Answer, absorb};
use crate::{
    broker_operation::{Circumstances, due},
    controller::{self, Trouble},
    platform::Platform,
};

/// Absorbs an answer and saves what it teaches. If somebody saved first, the same answer is absorbed again by what is
/// there now; it is dropped only when its operation is no longer the one in flight (decision 2).
pub(super) async fn save(
    platform: &Platform,
    mut instance: Object<ServiceInstance>,
    flight: &InFlight,
    answer: Answer,
    maybe_sent: bool,
) -> Result<Next, Trouble> {
    let (broker, service, plan) =
        (instance.spec.broker, &instance.spec.service, &instance.spec.plan);
    let polling_seconds_max =
        controller::polling_seconds_max(platform, broker, service, plan).await?;
    loop {
        let at = Circumstances {
            now: platform.clock.now(),
            random: platform.entropy.number(),
            polling_seconds_max,
            maybe_sent,
        };
        let absorbed = absorb(&instance.status, flight, answer.clone(), at);
        match commit(platform, &instance, absorbed, flight).await {
            Err(CommitError::Stale { .. }) => {}
            Err(CommitError::Gone { .. }) => return Ok(Next::Done),
            Err(error) => return Err(error.into()),
            Ok(next) => return Ok(next),
        }
        let Some(now) = controller::load(platform, instance.meta.id).await? else {
            return Ok(Next::Done);
        };
        instance = now;
        if instance.status.in_flight.as_ref().is_none_or(|now| now.id != flight.id) {
            return Ok(Next::Again);
        }
    }
}

async fn commit(
    platform: &Platform,
    before: &Object<ServiceInstance>,
    absorbed: Absorbed,
    flight: &InFlight,
) -> Result<Next, CommitError> {
    if absorbed.gone {
        forget(platform, before).await?;
        return Ok(Next::Done);
    }
    let after = Object { status: absorbed.status, ..before.clone() };
    let still = after.status.in_flight.as_ref();
    if let Some(flight) = still.filter(|_| only_the_next_poll_differs(before, &after)) {
        return Ok(due(flight, &after.status.retry).map_or(Next::Again, Next::At));
    }
    let mut batch = Batch::system("answer of a broker").update_status(&after);
    if still.is_none() {
        batch = drop_body(batch, before);
    }
    if let Some(cause) = absorbed.orphan {
        let orphan = orphan(platform, before, flight, cause);
        batch = batch.create(&orphan, &[before.spec.broker.uuid()], &[]);
    }
    let mut binding = None;
    if is_newly_ready(before, &after, flight) {
        let automatic = automatic_binding(platform, before).await;
        batch = batch.create(&automatic, &[before.meta.id.uuid()], &[]);
        binding = Some(automatic.meta.id.uuid());
    }
    platform.store.commit(batch).await?;
    if let Some(binding) = binding {
        platform.wakers.wake(Kind::ServiceBinding, binding);
    }
    Ok(Next::Again)
}

/// A poll that learnt nothing is not worth a commit. The next one is due all the same.
fn only_the_next_poll_differs(
    before: &Object<ServiceInstance>,
    after: &Object<ServiceInstance>,
) -> bool {
    let mut after = after.status.clone();
    if let (Some(before), Some(after)) = (&before.status.in_flight, &mut after.in_flight)
        && let (Some(before), Some(after)) = (&before.accepted, &mut after.accepted)
    {
        after.poll_at = before.poll_at;
    }
    after == before.status
}

fn is_newly_ready(
    before: &Object<ServiceInstance>,
    after: &Object<ServiceInstance>,
    flight: &InFlight,
) -> bool {
    flight.verb == Verb::Provision
        && before.status.presence != Presence::Present
        && after.status.presence == Presence::Present
        && before.spec.bindable
        && before.meta.deleting.is_none()
}

/// Without the exact body, which nobody will send again.
pub(super) fn drop_body(batch: Batch, before: &Object<ServiceInstance>) -> Batch {
    match before.status.in_flight.as_ref().and_then(|flight| flight.body) {
        Some(version) => batch.unseal_delete(SealedKey { owner: before.meta.id.uuid(), version }),
        None => batch,
    }
}

/// The end of the object. Whoever waits for it is woken.
pub(super) async fn forget(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
) -> Result<(), CommitError> {
    let batch = drop_body(Batch::system("instance deleted"), instance).delete(instance);
    platform.store.commit(batch).await?;
    platform.wakers.wake(Kind::ServiceBroker, instance.spec.broker.uuid());
    Ok(())
}

fn orphan(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
    flight: &InFlight,
    cause: String,
) -> Object<Orphan> {
    let id: Id<Orphan> = Id::from_uuid(platform.entropy.uuid());
    let name = id.to_string().parse().expect("a UUID's text is a name");
    let (organization, now) = (instance.meta.organization, platform.clock.now());
    Object {
        meta: Meta::new(id, organization, name, now, Default::default()),
        spec: orphan::Spec {
            broker: instance.spec.broker,
            service: instance.spec.service.clone(),
            plan: instance.spec.plan.clone(),
            instance: flight.target,
            binding: None,
            cause,
            waiting: Vec::new(),
        },
        status: orphan::Status::default(),
    }
}

/// The binding that an instance of a bindable plan gets by itself. It has the instance's name, or if somebody was
/// faster its id.
async fn automatic_binding(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
) -> Object<ServiceBinding> {
    let scope = platform.system.organization(instance.meta.organization);
    let taken = platform.store.get::<ServiceBinding>(&scope, &instance.meta.name).await;
    let name = match taken {
        Ok(None) => instance.meta.name.clone(),
        _ => instance.meta.id.to_string().parse().expect("a UUID's text is a name"),
    };
    let id = Id::from_uuid(platform.entropy.uuid());
    let now = platform.clock.now();
    Object {
        meta: Meta::new(id, instance.meta.organization, name, now, Default::default()),
        spec: service_binding::Spec {
            instance: instance.meta.id,
            instance_name: instance.meta.name.clone(),
            automatic: true,
            parameters: instance.spec.binding.parameters.clone(),
            secret_parameters: instance.spec.binding.secret_parameters.clone(),
            rotation: 0,
            retry: 0,
        },
        status: service_binding::Status::default(),
    }
}
