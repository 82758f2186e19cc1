//! The only effects for instances: calls to the broker, each backed by a saved intention.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError, Weak},
};

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{
    Id, Object,
    broker_operation::{InFlight, Verb},
    orphan::Orphan,
    service_binding::ServiceBinding,
    service_instance::ServiceInstance,
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
    controller::{self, Trouble},
    features::service_binding,
    platform::Platform,
};

/// The controller of instances.
#[derive(Debug)]
pub struct Controller {
    platform: Weak<Platform>,
    /// Operations that this process has begun and not yet sent. Any other may have been sent by an earlier one.
    unsent: Mutex<BTreeSet<Uuid>>,
}

impl Controller {
    pub const fn new(platform: Weak<Platform>) -> Self {
        Self { platform, unsent: Mutex::new(BTreeSet::new()) }
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
        let seen = look(platform, id).await?;
        match (plan(&instance, seen, platform.clock.now()), &instance.status.in_flight) {
            (Step::WaitUntil(at), _) => Ok(Next::At(at)),
            (Step::Begin(verb), _) => self.begin(platform, instance, verb).await,
            (Step::Call, Some(flight)) => {
                let flight = flight.clone();
                let maybe_sent = !self.take_unsent(flight.id);
                let answer = call(platform, &instance, &flight).await?;
                save(platform, instance, &flight, answer, maybe_sent).await
            }
            (Step::Poll, Some(flight)) => {
                let flight = flight.clone();
                let answer = poll(platform, &instance, &flight).await?;
                save(platform, instance, &flight, answer, true).await
            }
            (Step::RemoveBindings, _) => remove_bindings(platform, id).await,
            (Step::Forget, _) => {
                forget(platform, &instance).await?;
                Ok(Next::Done)
            }
            (Step::Rest | Step::Call | Step::Poll, _) => Ok(Next::Done),
        }
    }

    /// Saves what will be done, with every id and byte it will use. What it replaces is dropped with it.
    async fn begin(
        &self,
        platform: &Platform,
        mut instance: Object<ServiceInstance>,
        verb: Verb,
    ) -> Result<Next, Trouble> {
        let now = platform.clock.now();
        let flight = InFlight {
            verb,
            id: platform.entropy.uuid(),
            generation: instance.meta.generation,
            begun: now,
            body: None,
            target: request::attempt_id(platform, &mut instance),
            accepted: None,
        };
        let mut batch = drop_body(Batch::system("begin"), &instance);
        let status = &mut instance.status;
        status.in_flight = Some(flight.clone());
        status.failure = None;
        if verb == Verb::Provision {
            status.wished = status.wished.or(Some(now));
            match request::prepare(platform, &instance, flight.target).await? {
                Ok(body) => {
                    let version = instance.meta.status_revision + 1;
                    let key = SealedKey { owner: instance.meta.id.uuid(), version };
                    batch = batch.seal(instance.meta.organization, key, body);
                    if let Some(flight) = &mut instance.status.in_flight {
                        flight.body = Some(version);
                    }
                }
                Err(words) => {
                    let answer = Answer::NotAsked(words);
                    return save(platform, instance, &flight, answer, false).await;
                }
            }
        }
        platform.store.commit(batch.update_status(&instance)).await?;
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner).insert(flight.id);
        Ok(Next::Again)
    }

    fn take_unsent(&self, operation: Uuid) -> bool {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner).remove(&operation)
    }
}

async fn look(platform: &Platform, id: Id<ServiceInstance>) -> Result<Seen, Trouble> {
    let (store, everywhere) = (&platform.store, &platform.system);
    let bindings = store.list_referring::<ServiceBinding>(everywhere, id.uuid()).await?;
    let orphans = store.list_referring::<Orphan>(everywhere, id.uuid()).await?;
    let living = bindings.iter().filter(|binding| binding.meta().deleting.is_none()).count();
    Ok(Seen { bindings: living, leaving: bindings.len() - living + orphans.len() })
}

/// Sends what was intended.
async fn call(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
    flight: &InFlight,
) -> Result<Answer, Trouble> {
    let client = match request::client(platform, instance).await? {
        Ok((_, client)) => client,
        Err(words) => return Ok(Answer::NotAsked(words)),
    };
    let context = CallContext::of_platform(platform.entropy.uuid());
    if flight.verb != Verb::Provision {
        let target = request::target(instance, flight);
        return Ok(Answer::Deprovisioned(client.deprovision(&target, &context).await));
    }
    match request::sealed_request(platform, instance, flight).await? {
        Some(prepared) => Ok(Answer::Provisioned(client.send_provision(&prepared, &context).await)),
        None => Ok(Answer::NotAsked("the request that was to be sent is lost".to_owned())),
    }
}

async fn poll(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
    flight: &InFlight,
) -> Result<Answer, Trouble> {
    let client = match request::client(platform, instance).await? {
        Ok((_, client)) => client,
        Err(words) => return Ok(Answer::NotAsked(words)),
    };
    let context = CallContext::of_platform(platform.entropy.uuid());
    let operation = flight.accepted.as_ref().and_then(|accepted| accepted.operation.as_deref());
    let target = request::target(instance, flight);
    Ok(Answer::Polled(client.poll_instance(&target, operation, &context).await))
}

/// Asks for the bindings to go; the instance follows when the last one has.
async fn remove_bindings(platform: &Platform, id: Id<ServiceInstance>) -> Result<Next, Trouble> {
    let bindings =
        platform.store.list_referring::<ServiceBinding>(&platform.system, id.uuid()).await?;
    for stored in bindings {
        let Stored::Readable(binding) = stored else { continue };
        if binding.meta.deleting.is_none() {
            service_binding::mark_deleting(platform, binding).await?;
        }
    }
    Ok(Next::Done)
}
