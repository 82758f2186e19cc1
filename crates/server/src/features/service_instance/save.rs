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
use dispatch_store::{Batch, CommitError, SealedKey, Stored};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    absorb::{Absorbed, Answer, absorb},
    delete::purge_into,
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
    mut instance: Object<ServiceInstance>,
    flight: &InFlight,
    answer: Answer,
    maybe_sent: bool,
) -> Result<Next, Trouble> {
    let (broker, service, plan) =
        (instance.spec.broker, &instance.spec.service, &instance.spec.plan);
    let polling_seconds_max =
        controller::polling_seconds_max(platform, broker, service, plan).await;
    let generation = instance.meta.generation;
    loop {
        let at = Circumstances {
            now: platform.clock.now(),
            random: platform.entropy.number(),
            polling_seconds_max,
            maybe_sent,
            generation,
            late_until: late_until(&instance, flight),
        };
        let absorbed = absorb(&instance.status, flight, answer.clone(), at);
        match commit(platform, &instance, absorbed, flight).await {
            Err(trouble) if trouble.is_stale() => {}
            // Somebody took the automatic binding's name meanwhile: it then gets another.
            Err(Trouble::Commit(CommitError::Exists { .. })) => {}
            Err(trouble) => return Err(trouble),
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

/// A removal of what was never seen to exist: a lost request may still make it.
fn late_until(instance: &Object<ServiceInstance>, flight: &InFlight) -> Option<Timestamp> {
    let never_seen = instance.status.presence == Presence::Absent;
    let removal = flight.verb == Verb::Deprovision && never_seen;
    removal.then(|| time::after(flight.begun, LATE_WORK))
}

async fn commit(
    platform: &Platform,
    before: &Object<ServiceInstance>,
    absorbed: Absorbed,
    flight: &InFlight,
) -> Result<Next, Trouble> {
    let once_more = absorbed.once_more.map(|at| {
        let (of, spec) = (before.meta.organization, orphan_spec(before, flight.target));
        features::orphan::once_more(platform, of, spec, at)
    });
    if absorbed.gone {
        forget(platform, before, once_more).await?;
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
    let mut wake = Vec::new();
    if after.meta.deleting.is_some() && after.status.failure.is_some() {
        // A broker that waits for it to go must say that it does not.
        wake.push((Kind::ServiceBroker, before.spec.broker.uuid()));
    }
    let abandoned = absorbed.orphan.map(|orphan| abandon(platform, before, flight, orphan));
    for orphan in abandoned.into_iter().chain(once_more) {
        batch = batch.create(&orphan, &[before.spec.broker.uuid()], &[]);
        wake.push((Kind::Orphan, orphan.meta.id.uuid()));
    }
    if is_newly_ready(before, &after) {
        // Whoever asked for a binding too early waits for this.
        let (store, id) = (&platform.store, before.meta.id.uuid());
        let waiting = store.list_referring::<ServiceBinding>(&platform.system, id).await?;
        wake.extend(waiting.iter().map(|one| (Kind::ServiceBinding, one.meta().id.uuid())));
        if before.spec.bindable && before.meta.deleting.is_none() {
            let automatic = automatic_binding(platform, before).await;
            // Nothing is made on what is being deleted.
            batch = batch.require(&before.meta).create(&automatic, &[id], &[]);
            wake.push((Kind::ServiceBinding, automatic.meta.id.uuid()));
        }
    }
    controller::commit(platform, "service_instance/answer", batch).await?;
    for (kind, id) in wake {
        platform.wakers.wake(kind, id);
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

fn is_newly_ready(before: &Object<ServiceInstance>, after: &Object<ServiceInstance>) -> bool {
    before.status.presence != Presence::Present && after.status.presence == Presence::Present
}

/// Without the exact body, which nobody will send again.
pub(super) fn drop_body(batch: Batch, before: &Object<ServiceInstance>) -> Batch {
    match before.status.in_flight.as_ref().and_then(|flight| flight.body) {
        Some(version) => batch.unseal_delete(SealedKey { owner: before.meta.id.uuid(), version }),
        None => batch,
    }
}

/// The end of the object, and of what was asked for at the last moment and can never be. Whoever waits is woken.
/// `once_more` stands for it where it may come back.
pub(super) async fn forget(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
    once_more: Option<Object<Orphan>>,
) -> Result<(), Trouble> {
    let stored = Stored::Readable(instance.clone());
    let mut batch = purge_into(platform, Batch::system("instance deleted"), stored).await?;
    if let Some(orphan) = &once_more {
        batch = batch.create(orphan, &[instance.spec.broker.uuid()], &[]);
    }
    controller::commit(platform, "service_instance/forget", batch).await?;
    platform.wakers.wake(Kind::ServiceBroker, instance.spec.broker.uuid());
    if let Some(orphan) = once_more {
        platform.wakers.wake(Kind::Orphan, orphan.meta.id.uuid());
    }
    Ok(())
}

fn abandon(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
    flight: &InFlight,
    abandoned: Abandoned,
) -> Object<Orphan> {
    let (cause, unanswered) = (abandoned.cause, abandoned.unanswered);
    let spec = orphan::Spec { cause, unanswered, ..orphan_spec(instance, flight.target) };
    features::orphan::object(platform, instance.meta.organization, spec)
}

/// What an orphan of this instance is in any case.
fn orphan_spec(instance: &Object<ServiceInstance>, target: Uuid) -> orphan::Spec {
    orphan::Spec {
        broker: instance.spec.broker,
        service: instance.spec.service.clone(),
        plan: instance.spec.plan.clone(),
        instance: target,
        binding: None,
        cause: String::new(),
        unanswered: false,
        not_before: None,
        waiting: Vec::new(),
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

#[cfg(test)]
mod tests {
    use dispatch_osb::fake::Work;

    use super::*;
    use crate::testing::TestPlatform;

    #[tokio::test]
    async fn an_instance_that_is_deleted_meanwhile_gets_no_binding() {
        let test = TestPlatform::with(|settings| settings.provision = Work::held()).await;
        test.ask("db").await;
        test.quiet().await;
        let platform = test.running.platform();
        let found = platform.store.get_by_id::<ServiceInstance>(
            &platform.system,
            platform.store.ids(&platform.system).await.unwrap().pop().unwrap(),
        );
        let before = found.await.unwrap().unwrap().readable().unwrap();
        let mut deleting = before.clone();
        deleting.meta.deleting = Some(platform.clock.now());
        let batch = Batch::system("test").update_spec(&deleting, &[before.spec.broker.uuid()], &[]);
        platform.store.commit(batch).await.unwrap();

        let flight = before.status.in_flight.clone().unwrap();
        let mut status = before.status.clone();
        (status.in_flight, status.presence) = (None, Presence::Present);
        let absorbed = Absorbed { status, orphan: None, once_more: None, gone: false };
        let saved = commit(platform, &before, absorbed, &flight).await;
        assert!(saved.is_err_and(|trouble| trouble.is_stale()), "it is absorbed anew");
        let bindings = platform.store.ids::<ServiceBinding>(&platform.system).await.unwrap();
        assert_eq!(bindings, []);
        test.finish().await;
    }
}
