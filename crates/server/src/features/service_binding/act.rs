//! The only effects for bindings: calls to the broker, and having workers end that hold old credentials.

use std::sync::Weak;

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{
    Id, Object,
    broker_operation::{InFlight, Presence, Retry, Verb},
    service_binding::ServiceBinding,
};
use dispatch_osb::client::CallContext;
use dispatch_store::{Batch, SealedKey, Stored};
use uuid::Uuid;

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

/// The controller of bindings.
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
        "service_binding"
    }

    async fn keys(&self) -> Result<Vec<Key>, Box<dyn std::error::Error + Send + Sync>> {
        controller::keys::<ServiceBinding>(&self.platform).await
    }

    async fn reconcile(&self, key: Key) -> Next {
        let Some(platform) = self.platform.upgrade() else { return Next::Done };
        let outcome = self.step(&platform, Id::from_uuid(key.0)).await;
        controller::next(self.name(), key, outcome)
    }

    async fn panicked(&self, key: Key, message: &str) {
        controller::panicked::<ServiceBinding>(&self.platform, key, message, |binding, words| {
            binding.status.retry.tries += 1;
            binding.status.retry.last_error = Some(words);
        })
        .await;
    }
}

impl Controller {
    async fn step(&self, platform: &Platform, id: Id<ServiceBinding>) -> Result<Next, Trouble> {
        let Some(binding) = controller::load::<ServiceBinding>(platform, id).await? else {
            return Ok(Next::Done);
        };
        let seen = self.look(platform, &binding).await?;
        match (plan(&binding, seen, platform.clock.now()), &binding.status.in_flight) {
            (Step::WaitUntil(at), _) => Ok(Next::At(at)),
            (Step::Bind, _) => self.begin_bind(platform, binding).await,
            (Step::Unbind(target), _) => self.begin_unbind(platform, binding, target).await,
            (Step::Call | Step::Poll, Some(flight)) => {
                let flight = flight.clone();
                self.exchange(platform, binding, flight).await
            }
            (Step::Retire, _) => {
                // Whoever retires the last worker wakes us.
                retire(platform, &binding).await?;
                Ok(Next::Done)
            }
            (Step::Forget, _) => {
                forget(platform, &binding).await?;
                Ok(Next::Done)
            }
            (Step::Rest | Step::Call | Step::Poll, _) => Ok(Next::Done),
        }
    }

    async fn look(
        &self,
        platform: &Platform,
        binding: &Object<ServiceBinding>,
    ) -> Result<Seen, Trouble> {
        let store = &platform.store;
        let instance = store.get_by_id(&platform.system, binding.spec.instance).await?;
        let instance_ready = matches!(&instance, Some(Stored::Readable(instance))
            if instance.meta.deleting.is_none() && instance.status.presence == Presence::Present);
        let status = &binding.status;
        let retired = status
            .predecessor
            .as_ref()
            .is_none_or(|old| platform.consumers.is_retired(binding.meta.id, old.version));
        let flight = status.in_flight.as_ref().filter(|flight| flight.verb == Verb::Bind);
        Ok(Seen {
            instance_ready,
            instance_gone: instance.is_none(),
            retired,
            unsent: flight.is_some_and(|flight| self.flights.is_unsent(flight.id)),
        })
    }

    /// Sends what was intended or asks how far it is, and saves what comes back.
    async fn exchange(
        &self,
        platform: &Platform,
        binding: Object<ServiceBinding>,
        flight: InFlight,
    ) -> Result<Next, Trouble> {
        let (known, maybe_sent) = self.flights.take(flight.id);
        let answer = match known {
            Some(answer) => answer,
            None => ask(platform, &binding, &flight).await?,
        };
        let polled = matches!(answer, Answer::Polled(_));
        let without_effect = !maybe_sent && answer.is_without_effect();
        let saved = save(platform, binding, &flight, answer.clone(), maybe_sent).await;
        match &saved {
            Err(_) => self.flights.keep(flight.id, answer, maybe_sent),
            // What comes after a poll, a fetch, has never been sent.
            Ok(_) if without_effect || polled => self.flights.unsent(flight.id),
            Ok(_) => {}
        }
        saved
    }

    /// Saves what will be sent, with every id and byte it will use.
    async fn begin_bind(
        &self,
        platform: &Platform,
        before: Object<ServiceBinding>,
    ) -> Result<Next, Trouble> {
        let mut binding = before.clone();
        let target = request::attempt_id(platform, &mut binding);
        let mut flight = flight(platform, &binding, Verb::Bind, target);
        let status = &mut binding.status;
        status.wished = status.wished.or(Some(flight.begun));
        status.rotating = binding.spec.rotation;
        status.failure = None;
        let body = match request::prepare(platform, &binding, target).await? {
            Ok(body) => body,
            Err(words) => {
                // No attempt was made, so that no id is used up; but the wish gets older.
                let status = &mut binding.status;
                (status.attempt, status.attempts) = (before.status.attempt, before.status.attempts);
                let answer = Answer::NotAsked(words);
                return save(platform, binding, &flight, answer, false).await;
            }
        };
        let version = binding.meta.status_revision + 1;
        flight.body = Some(version);
        let key = SealedKey { owner: binding.meta.id.uuid(), version };
        let batch = Batch::system("begin").seal(binding.meta.organization, key, body);
        self.begin(platform, before, binding, flight, batch).await
    }

    async fn begin_unbind(
        &self,
        platform: &Platform,
        before: Object<ServiceBinding>,
        target: Uuid,
    ) -> Result<Next, Trouble> {
        let mut binding = before.clone();
        let replaced = before.status.in_flight.as_ref().filter(|flight| flight.verb == Verb::Bind);
        match replaced {
            Some(replaced) if self.flights.is_unsent(replaced.id) => binding.status.attempt = None,
            Some(replaced) => {
                let now = platform.clock.now();
                resent::unanswered(&mut binding.status.resent, replaced, now);
            }
            None => {}
        }
        binding.status.retry = Retry::default();
        binding.status.failure = None;
        let flight = flight(platform, &binding, Verb::Unbind, target);
        self.begin(platform, before, binding, flight, Batch::system("begin")).await
    }

    async fn begin(
        &self,
        platform: &Platform,
        before: Object<ServiceBinding>,
        mut binding: Object<ServiceBinding>,
        flight: InFlight,
        batch: Batch,
    ) -> Result<Next, Trouble> {
        let operation = flight.id;
        binding.status.in_flight = Some(flight);
        let batch = drop_body(batch, &before).update_status(&binding);
        controller::commit(platform, "service_binding/begin", batch).await?;
        if let Some(replaced) = &before.status.in_flight {
            self.flights.forget(replaced.id);
        }
        self.flights.unsent(operation);
        Ok(Next::Again)
    }
}

fn flight(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
    verb: Verb,
    target: Uuid,
) -> InFlight {
    InFlight {
        verb,
        id: platform.entropy.uuid(),
        generation: binding.meta.generation,
        begun: platform.clock.now(),
        body: None,
        target,
        accepted: None,
    }
}

/// New calls go to fresh workers first; then those that were given the old credentials are asked to end.
async fn retire(platform: &Platform, binding: &Object<ServiceBinding>) -> Result<(), Trouble> {
    features::function::refresh(platform, binding).await?;
    if let Some(old) = &binding.status.predecessor {
        platform.consumers.retire(binding.meta.id, old.version);
    }
    Ok(())
}

async fn ask(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
    flight: &InFlight,
) -> Result<Answer, Trouble> {
    let peer = match request::peer(platform, binding).await? {
        Ok(peer) => peer,
        Err(words) => return Ok(Answer::NotAsked(words)),
    };
    let context = CallContext::of_platform(platform.entropy.uuid());
    let (target, client, faults) = (peer.target(flight), &peer.client, &platform.faults);
    if let Some(accepted) = &flight.accepted {
        let poll = client.poll_binding(&target, accepted.operation.as_deref(), &context);
        return Ok(Answer::Polled(faults.around("service_binding/poll", poll).await));
    }
    match flight.verb {
        Verb::Unbind => {
            let call = client.unbind(&target, &context);
            Ok(Answer::Unbound(faults.around("service_binding/unbind", call).await))
        }
        Verb::Fetch => {
            let call = client.get_binding(&target, peer.requires(), &context);
            Ok(Answer::Fetched(faults.around("service_binding/fetch", call).await))
        }
        Verb::Bind | Verb::Provision | Verb::Deprovision => {
            let Some(prepared) = request::sealed_request(platform, binding, flight).await? else {
                return Ok(Answer::NotAsked("the request that was to be sent is lost".to_owned()));
            };
            let call = client.send_bind(&prepared, &context);
            Ok(Answer::Bound(faults.around("service_binding/bind", call).await))
        }
    }
}
