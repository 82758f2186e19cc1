//! The only effects for instances: calls to the broker, each backed by a saved intention.

use std::sync::Weak;

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{
    Id, Object,
    broker_operation::{Failure, InFlight, Retry, Verb},
    orphan::Orphan,
    service_binding::{self, ServiceBinding},
    service_instance::ServiceInstance,
    status::ConditionKind,
};
use dispatch_osb::client::CallContext;
use dispatch_store::{Batch, SealedKey, Stored};

use super::{
    absorb::Answer,
    plan::{Seen, Step, plan},
    request,
    save::{drop_body, forget, save},
};
use crate::{
    broker_operation::resent,
    controller::{self, Flights, Trouble},
    features,
    platform::Platform,
};

/// The controller of instances.
#[derive(Debug)]
pub struct Controller {
    platform: Weak<Platform>,
    flights: Flights<Answer>,
}

impl Controller {
    pub fn new(platform: Weak<Platform>) -> Self {
        Self { platform, flights: Flights::default() }
    }
}

#[async_trait]
impl Reconciler for Controller {
    fn name(&self) -> &'static str {
        "service_instance"
    }

    async fn keys(&self) -> Result<Vec<Key>, Box<dyn std::error::Error + Send + Sync>> {
        controller::keys::<ServiceInstance>(&self.platform).await
    }

    async fn reconcile(&self, key: Key) -> Next {
        let Some(platform) = self.platform.upgrade() else { return Next::Done };
        let outcome = self.step(&platform, Id::from_uuid(key.0)).await;
        controller::next(self.name(), key, outcome)
    }

    async fn panicked(&self, key: Key, message: &str) {
        controller::panicked::<ServiceInstance>(&self.platform, key, message, |instance, words| {
            instance.status.retry.tries += 1;
            instance.status.retry.last_error = Some(words);
        })
        .await;
    }
}

impl Controller {
    async fn step(&self, platform: &Platform, id: Id<ServiceInstance>) -> Result<Next, Trouble> {
        let Some(instance) = controller::load::<ServiceInstance>(platform, id).await? else {
            return Ok(Next::Done);
        };
        let seen = self.look(platform, &instance).await?;
        match (plan(&instance, seen, platform.clock.now()), &instance.status.in_flight) {
            (Step::WaitUntil(at), _) => Ok(Next::At(at)),
            (Step::Begin(verb), _) => self.begin(platform, instance, verb).await,
            (Step::Call | Step::Poll, Some(flight)) => {
                let flight = flight.clone();
                self.exchange(platform, instance, flight).await
            }
            (Step::RemoveBindings, _) => remove_bindings(platform, id).await,
            (Step::Blocked, _) => blocked(platform, instance).await,
            (Step::AwaitOthers, _) => await_others(platform, instance).await,
            (Step::Forget, _) => {
                forget(platform, &instance, None).await?;
                Ok(Next::Done)
            }
            (Step::Rest | Step::Call | Step::Poll, _) => Ok(Next::Done),
        }
    }

    async fn look(
        &self,
        platform: &Platform,
        instance: &Object<ServiceInstance>,
    ) -> Result<Seen, Trouble> {
        let (store, everywhere) = (&platform.store, &platform.system);
        let id = instance.meta.id.uuid();
        let bindings = store.list_referring::<ServiceBinding>(everywhere, id).await?;
        let orphans = store.list_referring::<Orphan>(everywhere, id).await?;
        // One that cannot be read cannot be asked to go, only waited for.
        let can_be_asked = |stored: &&Stored<ServiceBinding>| matches!(stored, Stored::Readable(binding) if binding.meta.deleting.is_none());
        let living = bindings.iter().filter(can_be_asked).count();
        let flight = instance.status.in_flight.as_ref();
        Ok(Seen {
            bindings: living,
            leaving: bindings.len() - living + orphans.len(),
            refused: bindings.iter().filter_map(refusal).count(),
            unsent: flight.is_some_and(|flight| self.flights.is_unsent(flight.id)),
        })
    }

    /// Sends what was intended or asks how far it is, and saves what comes back.
    async fn exchange(
        &self,
        platform: &Platform,
        instance: Object<ServiceInstance>,
        flight: InFlight,
    ) -> Result<Next, Trouble> {
        let (known, maybe_sent) = self.flights.take(flight.id);
        let answer = match known {
            Some(answer) => answer,
            None => ask(platform, &instance, &flight).await?,
        };
        let without_effect = !maybe_sent && answer.is_without_effect();
        let saved = save(platform, instance, &flight, answer.clone(), maybe_sent).await;
        match &saved {
            Err(_) => self.flights.keep(flight.id, answer, maybe_sent),
            Ok(_) if without_effect => self.flights.unsent(flight.id),
            Ok(_) => {}
        }
        saved
    }

    /// Saves what will be done, with every id and byte it will use. What it replaces is dropped with it.
    async fn begin(
        &self,
        platform: &Platform,
        before: Object<ServiceInstance>,
        verb: Verb,
    ) -> Result<Next, Trouble> {
        let now = platform.clock.now();
        let mut instance = before.clone();
        let mut flight = InFlight {
            verb,
            id: platform.entropy.uuid(),
            generation: instance.meta.generation,
            begun: now,
            body: None,
            target: request::attempt_id(platform, &mut instance),
            accepted: None,
        };
        let mut batch = drop_body(Batch::system("begin"), &before);
        if verb == Verb::Provision {
            instance.status.wished = instance.status.wished.or(Some(now));
            let body = match request::prepare(platform, &instance, flight.target).await? {
                Ok(body) => body,
                Err(words) => {
                    // No attempt was made, so that no id is used up; but the wish gets older.
                    let status = &mut instance.status;
                    status.attempts = before.status.attempts;
                    status.broker_instance_id = before.status.broker_instance_id;
                    let answer = Answer::NotAsked(words);
                    return save(platform, instance, &flight, answer, false).await;
                }
            };
            let version = instance.meta.status_revision + 1;
            let key = SealedKey { owner: instance.meta.id.uuid(), version };
            batch = batch.seal(instance.meta.organization, key, body);
            flight.body = Some(version);
        } else {
            let replaced = before.status.in_flight.as_ref();
            if let Some(replaced) = replaced.filter(|one| !self.flights.is_unsent(one.id)) {
                resent::unanswered(&mut instance.status.resent, replaced, now);
            }
            instance.status.retry = Retry::default();
            instance.status.clear_condition(ConditionKind::DeleteFailed);
        }
        instance.status.failure = None;
        let operation = flight.id;
        instance.status.in_flight = Some(flight);
        let batch = batch.update_status(&instance);
        controller::commit(platform, "service_instance/begin", batch).await?;
        if let Some(replaced) = &before.status.in_flight {
            self.flights.forget(replaced.id);
        }
        self.flights.unsent(operation);
        Ok(Next::Again)
    }
}

/// Why the broker does not unbind a binding, if it was asked and has refused.
fn refusal(stored: &Stored<ServiceBinding>) -> Option<String> {
    let Stored::Readable(binding) = stored else { return None };
    let refused = binding.meta.deleting.is_some()
        && service_binding::phase(binding).0 == dispatch_model::Phase::Error;
    let words = binding.status.failure.as_ref().map(|failure| &failure.message);
    words.filter(|_| refused).map(|words| format!("service binding {}: {words}", binding.meta.name))
}

async fn ask(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
    flight: &InFlight,
) -> Result<Answer, Trouble> {
    let client = match request::client(platform, instance).await? {
        Ok((_, client)) => client,
        Err(words) => return Ok(Answer::NotAsked(words)),
    };
    let context = CallContext::of_platform(platform.entropy.uuid());
    let target = request::target(instance, flight);
    let faults = &platform.faults;
    if let Some(accepted) = &flight.accepted {
        let poll = client.poll_instance(&target, accepted.operation.as_deref(), &context);
        return Ok(Answer::Polled(faults.around("service_instance/poll", poll).await));
    }
    if flight.verb != Verb::Provision {
        let call = client.deprovision(&target, &context);
        let outcome = faults.around("service_instance/deprovision", call).await;
        return Ok(Answer::Deprovisioned(outcome));
    }
    let Some(prepared) = request::sealed_request(platform, instance, flight).await? else {
        return Ok(Answer::NotAsked("the request that was to be sent is lost".to_owned()));
    };
    let call = client.send_provision(&prepared, &context);
    Ok(Answer::Provisioned(faults.around("service_instance/provision", call).await))
}

/// Asks for the bindings to go; the instance follows when the last one has.
async fn remove_bindings(platform: &Platform, id: Id<ServiceInstance>) -> Result<Next, Trouble> {
    let bindings =
        platform.store.list_referring::<ServiceBinding>(&platform.system, id.uuid()).await?;
    for stored in bindings {
        let Stored::Readable(binding) = stored else { continue };
        if binding.meta.deleting.is_none() {
            features::service_binding::mark_deleting(platform, binding).await?;
        }
    }
    Ok(Next::Done)
}

/// What its bindings are still there for.
async fn await_others(
    platform: &Platform,
    instance: Object<ServiceInstance>,
) -> Result<Next, Trouble> {
    let why = |binding: &Object<ServiceBinding>| service_binding::phase(binding).1;
    controller::await_others(
        platform,
        "service_instance/await",
        instance,
        |status| &mut status.retry,
        why,
    )
    .await
}

/// The broker keeps the bindings, so that the instance cannot go (OSB-181). Deleting it again asks for them again.
async fn blocked(
    platform: &Platform,
    mut instance: Object<ServiceInstance>,
) -> Result<Next, Trouble> {
    let (store, id) = (&platform.store, instance.meta.id.uuid());
    let bindings = store.list_referring::<ServiceBinding>(&platform.system, id).await?;
    let words: Vec<String> = bindings.iter().filter_map(refusal).collect();
    let message = controller::in_words(&words);
    let now = platform.clock.now();
    instance.status.set_condition(ConditionKind::DeleteFailed, message.clone(), now);
    instance.status.failure = Some(Failure { generation: instance.meta.generation, message });
    let batch = Batch::system("bindings are in the way").update_status(&instance);
    controller::commit(platform, "service_instance/blocked", batch).await?;
    Ok(Next::Done)
}
