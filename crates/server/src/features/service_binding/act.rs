//! The only effects for bindings: calls to the broker, and having workers end that hold old credentials.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError, Weak},
};

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{
    Id, Object,
    broker_operation::{InFlight, Presence, Verb},
    orphan::Orphan,
    service_binding::ServiceBinding,
    service_instance::ServiceInstance,
};
use dispatch_osb::client::CallContext;
use dispatch_store::{Batch, SealedKey};
use uuid::Uuid;

use super::{
    absorb::Answer,
    plan::{Seen, Step, plan},
    request,
    save::{drop_body, forget, save},
};
use crate::{
    controller::{self, Trouble},
    platform::Platform,
};

/// The controller of bindings.
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
        let seen = look(platform, &binding).await?;
        match (plan(&binding, seen, platform.clock.now()), &binding.status.in_flight) {
            (Step::WaitUntil(at), _) => Ok(Next::At(at)),
            (Step::Bind, _) => self.begin_bind(platform, binding).await,
            (Step::Unbind(target), _) => self.begin_unbind(platform, binding, target).await,
            (Step::Call, Some(flight)) => {
                let flight = flight.clone();
                let maybe_sent = !self.take_unsent(flight.id);
                let answer = call(platform, &binding, &flight).await?;
                save(platform, binding, &flight, answer, maybe_sent).await
            }
            (Step::Poll, Some(flight)) => {
                let flight = flight.clone();
                let answer = poll(platform, &binding, &flight).await?;
                let next = save(platform, binding, &flight, answer, true).await?;
                // What comes next, a fetch, has never been sent.
                self.note_unsent(flight.id);
                Ok(next)
            }
            (Step::Retire, _) => {
                // Whoever retires the last worker wakes us.
                retire(platform, &binding);
                Ok(Next::Done)
            }
            (Step::Forget, _) => {
                forget(platform, &binding).await?;
                Ok(Next::Done)
            }
            (Step::Rest | Step::Call | Step::Poll, _) => Ok(Next::Done),
        }
    }

    /// Saves what will be sent, with every id and byte it will use.
    async fn begin_bind(
        &self,
        platform: &Platform,
        mut binding: Object<ServiceBinding>,
    ) -> Result<Next, Trouble> {
        let now = platform.clock.now();
        let batch = drop_body(Batch::system("begin"), &binding);
        let target = request::attempt_id(platform, &mut binding);
        let mut flight = flight(platform, &binding, Verb::Bind, target);
        binding.status.wished = binding.status.wished.or(Some(now));
        binding.status.rotating = binding.spec.rotation;
        binding.status.failure = None;
        let body = match request::prepare(platform, &binding, target).await? {
            Ok(body) => body,
            Err(words) => {
                binding.status.in_flight = Some(flight.clone());
                let answer = Answer::NotAsked(words);
                return save(platform, binding, &flight, answer, false).await;
            }
        };
        let version = binding.meta.status_revision + 1;
        flight.body = Some(version);
        binding.status.in_flight = Some(flight.clone());
        let key = SealedKey { owner: binding.meta.id.uuid(), version };
        let batch = batch.seal(binding.meta.organization, key, body);
        platform.store.commit(batch.update_status(&binding)).await?;
        self.note_unsent(flight.id);
        Ok(Next::Again)
    }

    async fn begin_unbind(
        &self,
        platform: &Platform,
        mut binding: Object<ServiceBinding>,
        target: Uuid,
    ) -> Result<Next, Trouble> {
        let batch = drop_body(Batch::system("begin"), &binding);
        let flight = flight(platform, &binding, Verb::Unbind, target);
        binding.status.in_flight = Some(flight);
        binding.status.failure = None;
        platform.store.commit(batch.update_status(&binding)).await?;
        Ok(Next::Again)
    }

    fn note_unsent(&self, operation: Uuid) {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner).insert(operation);
    }

    fn take_unsent(&self, operation: Uuid) -> bool {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner).remove(&operation)
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

async fn look(platform: &Platform, binding: &Object<ServiceBinding>) -> Result<Seen, Trouble> {
    let instance = controller::load::<ServiceInstance>(platform, binding.spec.instance).await?;
    let instance_ready = instance.is_some_and(|instance| {
        instance.meta.deleting.is_none() && instance.status.presence == Presence::Present
    });
    let id = binding.meta.id.uuid();
    let orphans = platform.store.list_referring::<Orphan>(&platform.system, id).await?.len();
    let retired = binding
        .status
        .predecessor
        .as_ref()
        .is_none_or(|old| platform.consumers.is_retired(binding.meta.id, old.version));
    Ok(Seen { instance_ready, retired, orphans })
}

fn retire(platform: &Platform, binding: &Object<ServiceBinding>) {
    if let Some(old) = &binding.status.predecessor {
        platform.consumers.retire(binding.meta.id, old.version);
    }
}

/// Sends what was intended.
async fn call(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
    flight: &InFlight,
) -> Result<Answer, Trouble> {
    let peer = match request::peer(platform, binding).await? {
        Ok(peer) => peer,
        Err(words) => return Ok(Answer::NotAsked(words)),
    };
    let context = CallContext::of_platform(platform.entropy.uuid());
    let target = peer.target(flight);
    match flight.verb {
        Verb::Unbind => Ok(Answer::Unbound(peer.client.unbind(&target, &context).await)),
        Verb::Fetch => {
            let fetched = peer.client.get_binding(&target, peer.requires(), &context).await;
            Ok(Answer::Fetched(fetched))
        }
        Verb::Bind | Verb::Provision | Verb::Deprovision => {
            match request::sealed_request(platform, binding, flight).await? {
                Some(prepared) => {
                    Ok(Answer::Bound(peer.client.send_bind(&prepared, &context).await))
                }
                None => Ok(Answer::NotAsked("the request that was to be sent is lost".to_owned())),
            }
        }
    }
}

async fn poll(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
    flight: &InFlight,
) -> Result<Answer, Trouble> {
    let peer = match request::peer(platform, binding).await? {
        Ok(peer) => peer,
        Err(words) => return Ok(Answer::NotAsked(words)),
    };
    let context = CallContext::of_platform(platform.entropy.uuid());
    let operation = flight.accepted.as_ref().and_then(|accepted| accepted.operation.as_deref());
    let target = peer.target(flight);
    Ok(Answer::Polled(peer.client.poll_binding(&target, operation, &context).await))
}
