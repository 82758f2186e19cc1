//! The only effect for orphans: removing them at the broker. Which ids, and that it is to be done, was saved in the
//! write that gave the attempt up, so sending it again at any time does no harm and needs no further intention.

use std::sync::Weak;

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{
    Id, Kind, Object,
    broker_operation::{InFlight, Retry, Verb},
    orphan::{Orphan, Status},
    service_broker::ServiceBroker,
};
use dispatch_osb::client::{BindingTarget, CallContext, Client, InstanceTarget};
use dispatch_store::{Batch, CommitError};

use crate::{
    broker_operation::{Circumstances, Removal, due, failed_try, removal, removal_polled},
    controller::{self, Trouble},
    platform::Platform,
};

/// The controller of orphans.
#[derive(Debug)]
pub struct Controller(pub Weak<Platform>);

#[async_trait]
impl Reconciler for Controller {
    fn name(&self) -> &'static str {
        "orphan"
    }

    async fn keys(&self) -> Result<Vec<Key>, Box<dyn std::error::Error + Send + Sync>> {
        controller::keys::<Orphan>(&self.0).await
    }

    async fn reconcile(&self, key: Key) -> Next {
        let Some(platform) = self.0.upgrade() else { return Next::Done };
        controller::next(self.name(), key, step(&platform, Id::from_uuid(key.0)).await)
    }

    async fn panicked(&self, key: Key, message: &str) {
        controller::panicked::<Orphan>(&self.0, key, message, |orphan, words| {
            orphan.status.retry.tries += 1;
            orphan.status.retry.last_error = Some(words);
        })
        .await;
    }
}

async fn step(platform: &Platform, id: Id<Orphan>) -> Result<Next, Trouble> {
    let Some(orphan) = controller::load::<Orphan>(platform, id).await? else {
        return Ok(Next::Done);
    };
    let now = platform.clock.now();
    let status = &orphan.status;
    let at = match &status.in_flight {
        Some(flight) => due(flight, &status.retry),
        None => status.retry.not_before,
    };
    if let Some(at) = at.filter(|at| *at > now) {
        return Ok(Next::At(at));
    }
    let Some(broker) = controller::load::<ServiceBroker>(platform, orphan.spec.broker).await?
    else {
        tracing::warn!(orphan = %id, "its broker is gone, so nothing can be removed there");
        return forget(platform, &orphan).await;
    };
    let removal = remove(platform, &broker, &orphan).await?;
    save(platform, orphan, removal).await
}

/// Sends the removal, or asks how far it is.
async fn remove(
    platform: &Platform,
    broker: &Object<ServiceBroker>,
    orphan: &Object<Orphan>,
) -> Result<Removal, Trouble> {
    let client = match platform.brokers.client(platform, broker).await {
        Ok(client) => client,
        Err(error) => {
            return Ok(Removal::Again { words: error.to_string(), retry_after: None });
        }
    };
    let at = Circumstances {
        now: platform.clock.now(),
        random: platform.entropy.number(),
        polling_seconds_max: None,
        maybe_sent: true,
    };
    let context = CallContext::of_platform(platform.entropy.uuid());
    Ok(match orphan.spec.binding {
        Some(binding) => {
            let target = BindingTarget {
                instance_id: orphan.spec.instance.to_string(),
                binding_id: binding.to_string(),
                service_id: orphan.spec.service.clone(),
                plan_id: orphan.spec.plan.clone(),
            };
            remove_binding(&client, orphan, &target, &context, at).await
        }
        None => {
            let target = InstanceTarget {
                instance_id: orphan.spec.instance.to_string(),
                service_id: orphan.spec.service.clone(),
                plan_id: orphan.spec.plan.clone(),
            };
            remove_instance(&client, orphan, &target, &context, at).await
        }
    })
}

async fn remove_instance(
    client: &Client,
    orphan: &Object<Orphan>,
    target: &InstanceTarget,
    context: &CallContext,
    at: Circumstances,
) -> Removal {
    match orphan.status.in_flight.as_ref().and_then(|flight| flight.accepted.as_ref()) {
        Some(before) => {
            let operation = before.operation.as_deref();
            removal_polled(client.poll_instance(target, operation, context).await, before, at)
        }
        None => removal(client.deprovision(target, context).await, at),
    }
}

async fn remove_binding(
    client: &Client,
    orphan: &Object<Orphan>,
    target: &BindingTarget,
    context: &CallContext,
    at: Circumstances,
) -> Removal {
    match orphan.status.in_flight.as_ref().and_then(|flight| flight.accepted.as_ref()) {
        Some(before) => {
            let operation = before.operation.as_deref();
            removal_polled(client.poll_binding(target, operation, context).await, before, at)
        }
        None => removal(client.unbind(target, context).await, at),
    }
}

async fn save(
    platform: &Platform,
    orphan: Object<Orphan>,
    removal: Removal,
) -> Result<Next, Trouble> {
    let at = Circumstances {
        now: platform.clock.now(),
        random: platform.entropy.number(),
        polling_seconds_max: None,
        maybe_sent: true,
    };
    let verb = if orphan.spec.binding.is_some() { Verb::Unbind } else { Verb::Deprovision };
    let before = &orphan.status;
    let status = match removal {
        Removal::Gone => return forget(platform, &orphan).await,
        Removal::UnderWay { accepted, .. } => Status {
            in_flight: Some(InFlight {
                verb,
                id: platform.entropy.uuid(),
                generation: orphan.meta.generation,
                begun: at.now,
                body: None,
                target: orphan.spec.binding.unwrap_or(orphan.spec.instance),
                accepted: Some(accepted),
            }),
            retry: Retry { not_before: None, ..before.retry.clone() },
            last_try: Some(at.now),
        },
        // A refusal too is only for now: what may cost somebody money is never given up.
        Removal::Again { words, retry_after } => Status {
            in_flight: None,
            retry: failed_try(&before.retry, verb, words, retry_after, at),
            last_try: Some(at.now),
        },
        Removal::Refused(words) => Status {
            in_flight: None,
            retry: failed_try(&before.retry, verb, words, None, at),
            last_try: Some(at.now),
        },
    };
    let orphan = Object { status, ..orphan };
    let batch = Batch::system("orphan").update_status(&orphan);
    platform.store.commit(batch).await?;
    Ok(Next::Again)
}

/// Nothing is left at the broker. Whoever waits for that is woken.
async fn forget(platform: &Platform, orphan: &Object<Orphan>) -> Result<Next, Trouble> {
    match platform.store.commit(Batch::system("orphan removed").delete(orphan)).await {
        Ok(_) | Err(CommitError::Gone { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    platform.wakers.wake(Kind::ServiceBroker, orphan.spec.broker.uuid());
    for id in &orphan.spec.waiting {
        platform.wakers.wake(Kind::ServiceInstance, *id);
        platform.wakers.wake(Kind::ServiceBinding, *id);
    }
    Ok(Next::Done)
}
