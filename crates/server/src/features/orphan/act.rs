//! The only effect for orphans: removing them at the broker. Which ids, and that it is to be done, was saved in the
//! write that gave the attempt up, so sending it again at any time does no harm and needs no further intention.

use std::sync::Weak;

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{
    Id, Kind, Object,
    broker_operation::{Accepted, InFlight, Retry, Verb},
    orphan::{Orphan, Status},
    service_broker::ServiceBroker,
};
use dispatch_osb::client::{BindingTarget, CallContext, Client, InstanceTarget, Outcome, Polled};
use dispatch_store::{Batch, CommitError, Stored};

use crate::{
    broker_operation::{
        Circumstances, LATE_WORK, Removal, due, failed_try, later, removal, removal_polled,
    },
    controller::{self, Trouble},
    platform::Platform,
    time,
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
        None => status.retry.not_before.or(orphan.spec.not_before),
    };
    if let Some(at) = at.filter(|at| *at > now) {
        return Ok(Next::At(at));
    }
    let (store, broker) = (&platform.store, orphan.spec.broker);
    let removal = match store.get_by_id::<ServiceBroker>(&platform.system, broker).await? {
        Some(Stored::Readable(broker)) => remove(platform, &broker, &orphan).await,
        Some(Stored::Unreadable { why, .. }) => {
            Removal::Again { words: format!("its service broker: {why}"), retry_after: None }
        }
        None => {
            tracing::warn!(orphan = %id, "its broker is gone, so nothing can be removed there");
            return forget(platform, &orphan).await;
        }
    };
    save(platform, orphan, removal).await
}

/// Sends the removal, or asks how far it is.
async fn remove(
    platform: &Platform,
    broker: &Object<ServiceBroker>,
    orphan: &Object<Orphan>,
) -> Removal {
    let client = match platform.brokers.client(platform, broker).await {
        Ok(client) => client,
        Err(error) => return Removal::Again { words: error.to_string(), retry_after: None },
    };
    let context = CallContext::of_platform(platform.entropy.uuid());
    let call = Call { platform, client: &client, orphan, context: &context };
    match orphan.spec.binding {
        Some(binding) => {
            let target = BindingTarget {
                instance_id: orphan.spec.instance.to_string(),
                binding_id: binding.to_string(),
                service_id: orphan.spec.service.clone(),
                plan_id: orphan.spec.plan.clone(),
            };
            remove_binding(&call, &target).await
        }
        None => {
            let target = InstanceTarget {
                instance_id: orphan.spec.instance.to_string(),
                service_id: orphan.spec.service.clone(),
                plan_id: orphan.spec.plan.clone(),
            };
            remove_instance(&call, &target).await
        }
    }
}

/// One request about an orphan.
#[derive(Clone, Copy)]
struct Call<'a> {
    platform: &'a Platform,
    client: &'a Client,
    orphan: &'a Object<Orphan>,
    context: &'a CallContext,
}

impl<'a> Call<'a> {
    /// The operation that is to be asked about, if the broker works on it.
    fn accepted(&self) -> Option<&'a Accepted> {
        self.orphan.status.in_flight.as_ref().and_then(|flight| flight.accepted.as_ref())
    }

    async fn polled(&self, before: &Accepted, poll: impl Future<Output = Polled>) -> Removal {
        let polled = self.platform.faults.around("orphan/poll", poll).await;
        removal_polled(polled, before, circumstances(self.platform, self.orphan))
    }

    async fn removed(&self, call: impl Future<Output = Outcome<()>>) -> Removal {
        match self.platform.faults.around("orphan/remove", call).await {
            // It was removed before, perhaps with all that it belongs to: not every broker says 410 then.
            Outcome::Rejected(refusal)
                if refusal.status == 404 && self.orphan.spec.not_before.is_some() =>
            {
                Removal::Gone
            }
            outcome => removal(outcome, circumstances(self.platform, self.orphan)),
        }
    }
}

async fn remove_instance(call: &Call<'_>, target: &InstanceTarget) -> Removal {
    let (client, context) = (call.client, call.context);
    match call.accepted() {
        None => call.removed(client.deprovision(target, context)).await,
        Some(before) => {
            let operation = before.operation.as_deref();
            call.polled(before, client.poll_instance(target, operation, context)).await
        }
    }
}

async fn remove_binding(call: &Call<'_>, target: &BindingTarget) -> Removal {
    let (client, context) = (call.client, call.context);
    match call.accepted() {
        None => call.removed(client.unbind(target, context)).await,
        Some(before) => {
            let operation = before.operation.as_deref();
            call.polled(before, client.poll_binding(target, operation, context)).await
        }
    }
}

fn circumstances(platform: &Platform, orphan: &Object<Orphan>) -> Circumstances {
    let late = orphan.spec.unanswered.then(|| time::after(orphan.meta.created, LATE_WORK));
    Circumstances {
        now: platform.clock.now(),
        random: platform.entropy.number(),
        polling_seconds_max: None,
        maybe_sent: true,
        generation: orphan.meta.generation,
        late_until: late,
    }
}

fn counted(retry: &Retry) -> Retry {
    Retry { tries: retry.tries.saturating_add(1), ..retry.clone() }
}

async fn save(
    platform: &Platform,
    orphan: Object<Orphan>,
    removal: Removal,
) -> Result<Next, Trouble> {
    let at = circumstances(platform, &orphan);
    let verb = if orphan.spec.binding.is_some() { Verb::Unbind } else { Verb::Deprovision };
    let before = orphan.status.clone();
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
        Removal::Late { words, until } => Status {
            in_flight: None,
            // People see how often it was tried.
            retry: later(&counted(&before.retry), words, until),
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
    controller::commit(platform, "orphan/answer", batch).await?;
    if orphan.status.retry.last_error != before.retry.last_error {
        wake_waiting(platform, &orphan);
    }
    Ok(Next::Again)
}

/// Nothing is left at the broker.
async fn forget(platform: &Platform, orphan: &Object<Orphan>) -> Result<Next, Trouble> {
    let batch = Batch::system("orphan removed").delete(orphan);
    match controller::commit(platform, "orphan/forget", batch).await {
        Ok(_) | Err(CommitError::Gone { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    wake_waiting(platform, orphan);
    Ok(Next::Done)
}

/// Whoever waits for it to go, and says why it does not.
fn wake_waiting(platform: &Platform, orphan: &Object<Orphan>) {
    platform.wakers.wake(Kind::ServiceBroker, orphan.spec.broker.uuid());
    for id in &orphan.spec.waiting {
        platform.wakers.wake(Kind::ServiceInstance, *id);
        platform.wakers.wake(Kind::ServiceBinding, *id);
    }
}
