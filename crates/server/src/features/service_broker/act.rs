//! The only effects for brokers: reading a catalogue, and dropping what is left when one goes.

use std::{
    panic::resume_unwind,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{
    ErrorCode, Id, Kind, Object, Phase,
    orphan::Orphan,
    secret::{Owner, Secret},
    service_broker::{Authentication, ServiceBroker},
    service_class::ServiceClass,
    service_instance::{ServiceInstance, phase},
};
use dispatch_osb::{
    catalog::validate,
    client::{CallContext, CatalogFetched},
    types::Catalog,
};
use dispatch_store::{Batch, BlobDigest, SealedKey, Stored};

use super::{
    absorb::{Read, absorb},
    own,
    plan::{Seen, Step, plan},
};
use crate::{
    controller::{self, Trouble},
    platform::Platform,
    schema::CatalogSchemas,
};

/// The controller of brokers.
#[derive(Debug)]
pub struct Controller(pub Weak<Platform>);

#[async_trait]
impl Reconciler for Controller {
    fn name(&self) -> &'static str {
        "service_broker"
    }

    async fn keys(&self) -> Result<Vec<Key>, Box<dyn std::error::Error + Send + Sync>> {
        controller::keys::<ServiceBroker>(&self.0).await
    }

    async fn reconcile(&self, key: Key) -> Next {
        let Some(platform) = self.0.upgrade() else { return Next::Done };
        controller::next(self.name(), key, reconcile(&platform, Id::from_uuid(key.0)).await)
    }

    async fn panicked(&self, key: Key, message: &str) {
        controller::panicked::<ServiceBroker>(&self.0, key, message, |broker, message| {
            broker.status.retry.tries += 1;
            broker.status.retry.last_error = Some(message);
        })
        .await;
    }
}

async fn reconcile(platform: &Arc<Platform>, id: Id<ServiceBroker>) -> Result<Next, Trouble> {
    let Some(broker) = controller::load::<ServiceBroker>(platform, id).await? else {
        platform.brokers.forget(id);
        return own::end(platform, id).await;
    };
    own::keep(platform, &broker).await;
    let seen = look(platform, id).await?;
    match plan(&broker, seen, platform.clock.now()) {
        Step::AwaitOthers => await_others(platform, broker).await,
        Step::WaitUntil(at) => Ok(Next::At(at)),
        Step::Fetch => fetch(platform, broker).await,
        Step::DeleteInstances => delete_instances(platform, id).await,
        Step::Forget => forget(platform, broker).await,
    }
}

async fn look(platform: &Platform, id: Id<ServiceBroker>) -> Result<Seen, Trouble> {
    let instances =
        platform.store.list_referring::<ServiceInstance>(&platform.system, id.uuid()).await?;
    let orphans = platform.store.list_referring::<Orphan>(&platform.system, id.uuid()).await?;
    // One that cannot be read cannot be asked to go, only waited for.
    let can_be_asked = |stored: &&Stored<ServiceInstance>| matches!(stored, Stored::Readable(instance) if instance.meta.deleting.is_none());
    let living = instances.iter().filter(can_be_asked).count();
    let process_changed = platform.brokers.included.has_news(id);
    Ok(Seen { living, leaving: instances.len() - living, orphans: orphans.len(), process_changed })
}

async fn fetch(platform: &Arc<Platform>, broker: Object<ServiceBroker>) -> Result<Next, Trouble> {
    let mut batch = Batch::system("catalogue read");
    let read = read(platform, &broker, &mut batch).await;
    let catalog: Option<BlobDigest> = match &read {
        Read::Good { digest, .. } => digest.parse().ok(),
        Read::Bad(_) | Read::Refused(_) | Read::Unreachable(_) => None,
    };
    let (now, random) = (platform.clock.now(), platform.entropy.number());
    let generation = broker.meta.generation;
    let before = broker.status.clone();
    let status = absorb(broker.status.clone(), generation, read, now, random);
    let same_catalog = before.catalog.as_ref().map(|catalog| &catalog.digest)
        == status.catalog.as_ref().map(|catalog| &catalog.digest);
    if let (false, Some(catalog)) = (same_catalog, &status.catalog) {
        tracing::info!(broker = %broker.meta.name, digest = catalog.digest, "catalogue changed");
    }
    let broker = Object { status, ..broker };
    let batch = match catalog {
        Some(catalog) => batch.update_status_holding(&broker, &[catalog]),
        // The last good one stays in use, and held.
        None => batch.update_status(&broker),
    };
    controller::commit(platform, "service_broker/answer", batch).await?;
    Ok(Next::Again)
}

/// Calls the broker; a good catalogue is put into the batch that saves the status.
async fn read(platform: &Platform, broker: &Object<ServiceBroker>, batch: &mut Batch) -> Read {
    let client = match platform.brokers.client(platform, broker).await {
        Ok(client) => client,
        Err(error) => return Read::Unreachable(error.to_string()),
    };
    let context = CallContext::of_platform(platform.entropy.uuid());
    let (document, api_version) = match platform
        .faults
        .around("service_broker/catalog", client.catalog(&context, None))
        .await
    {
        CatalogFetched::Fetched { document, api_version, .. } => (document, api_version),
        CatalogFetched::Unchanged { .. } => {
            return Read::Bad("it answered 304 to a request that had no condition".to_owned());
        }
        CatalogFetched::Unauthorized(refusal) => {
            return Read::Refused(format!("the broker refused our login: {}", refusal.description));
        }
        CatalogFetched::NoCommonVersion(refusal) => {
            return Read::Refused(format!(
                "no version of the API from 2.17 to 2.11 is accepted: {}",
                refusal.description
            ));
        }
        CatalogFetched::Failed(words) => return Read::Unreachable(words),
    };
    // A catalogue is long and its schemas are foreign: a thread that may take its time.
    let schemas = CatalogSchemas::new(platform.stopping.clone());
    let checked =
        tokio::task::spawn_blocking(move || validate(&document, &|schema| schemas.check(schema)));
    let validated = checked.await.unwrap_or_else(|panic| resume_unwind(panic.into_panic()));
    if platform.stopping.is_cancelled() {
        return Read::Unreachable("the server stopped while it was read".to_owned());
    }
    let validated = match validated {
        Ok(validated) => validated,
        Err(faults) => {
            let words = controller::in_words(&faults);
            return Read::Bad(format!("the catalogue is not valid: {words}"));
        }
    };
    let mut warnings: Vec<String> = validated.warnings.iter().map(ToString::to_string).collect();
    let has_login = broker.spec.authentication != Authentication::None;
    if has_login && broker.spec.url.starts_with("http://") {
        warnings.push("the login is sent over plain http; use https (OSB-006)".to_owned());
    }
    let catalog = Catalog { services: validated.services };
    match serde_json::to_vec(&catalog) {
        Ok(bytes) => Read::Good {
            digest: batch.put_blob(bytes).to_string(),
            api_version: api_version.to_string(),
            warnings,
        },
        Err(error) => Read::Bad(error.to_string()),
    }
}

/// `?cascade=true`: asks for the instances to go; the broker follows when the last one has.
async fn delete_instances(
    platform: &Arc<Platform>,
    id: Id<ServiceBroker>,
) -> Result<Next, Trouble> {
    let instances =
        platform.store.list_referring::<ServiceInstance>(&platform.system, id.uuid()).await?;
    for stored in instances {
        let Stored::Readable(instance) = stored else { continue };
        if instance.meta.deleting.is_none() {
            crate::features::service_instance::mark_deleting(platform, instance).await?;
        }
    }
    Ok(Next::Done)
}

/// What its instances are still there for.
async fn await_others(platform: &Platform, broker: Object<ServiceBroker>) -> Result<Next, Trouble> {
    let why = |instance: &Object<ServiceInstance>| match phase(instance) {
        (Phase::Error, why) => why,
        _ => None,
    };
    controller::await_others(
        platform,
        "service_broker/await",
        broker,
        |status| &mut status.retry,
        why,
    )
    .await
}

/// Nothing refers to it any more: the broker, what was said about its classes, and the login that came with it. The
/// process of one that the server runs itself goes before, with all that it kept.
async fn forget(platform: &Arc<Platform>, broker: Object<ServiceBroker>) -> Result<Next, Trouble> {
    if let Err(why) = platform.brokers.included.remove(broker.meta.id).await {
        return own::note(platform, broker, why.to_string()).await;
    }
    let batch = leave(platform, Batch::system("broker deleted"), &broker).await?.delete(&broker);
    controller::commit(platform, "service_broker/forget", batch).await?;
    platform.brokers.forget(broker.meta.id);
    Ok(Next::Done)
}

/// Everything that belongs to a broker and has no effect outside. What has must be gone before it in the batch, or is
/// gone already.
pub(super) async fn leave(
    platform: &Platform,
    mut batch: Batch,
    broker: &Object<ServiceBroker>,
) -> Result<Batch, dispatch_store::ReadError> {
    let id = broker.meta.id.uuid();
    for stored in platform.store.list_referring::<ServiceClass>(&platform.system, id).await? {
        batch = batch.delete_meta(stored.meta());
    }
    for stored in platform.store.list_referring::<Secret>(&platform.system, id).await? {
        let Stored::Readable(secret) = stored else { continue };
        if secret.spec.owner == Owner::Broker(broker.meta.id) {
            let key = SealedKey { owner: secret.meta.id.uuid(), version: secret.spec.version };
            batch = batch.delete(&secret).unseal_delete(key);
        }
    }
    Ok(batch
        .require_unreferred::<ServiceClass>(id)
        .require_unreferred::<ServiceInstance>(id)
        .require_unreferred::<Orphan>(id))
}

/// Why a broker cannot be deleted now, naming who stands in the way.
pub(super) fn in_use(name: &str, users: &[String]) -> crate::http::ApiError {
    const SHOWN: usize = 10;
    let shown: Vec<&str> = users.iter().take(SHOWN).map(String::as_str).collect();
    let more = users.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    crate::http::ApiError::new(
        ErrorCode::InUse,
        format!(
            "{} {name} is used by service instance{} {}{more}; delete {} first, or use cascade=true \
             (removes them first) or purge=true (forgets them without calling the broker)",
            Kind::ServiceBroker.noun(),
            if users.len() == 1 { "" } else { "s" },
            shown.join(", "),
            if users.len() == 1 { "it" } else { "them" },
        ),
    )
}
