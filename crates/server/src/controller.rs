//! What every controller of the control plane does the same way: load, tell the engine when to come again, and say so
//! on the object when something of ours goes wrong.

use std::sync::Weak;

use dispatch_engine::{Key, Next};
use dispatch_model::{Id, Noun, Object, service_broker::ServiceBroker};
use dispatch_store::{Batch, CommitError, ReadError, Stored};

use crate::platform::Platform;

/// Why a reconcile did not get to its end. Nothing is lost: the next run starts from what is stored.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("read what is to be reconciled")]
    Read(#[from] ReadError),
    #[error("save what was learnt")]
    Commit(#[from] CommitError),
}

impl Trouble {
    /// Somebody else saved first, or the object is gone: look again.
    pub const fn is_stale(&self) -> bool {
        matches!(self, Self::Commit(CommitError::Stale { .. } | CommitError::Gone { .. }))
    }
}

/// The keys of a kind, for start and rescan.
pub async fn keys<K: Noun>(
    platform: &Weak<Platform>,
) -> Result<Vec<Key>, Box<dyn std::error::Error + Send + Sync>> {
    let Some(platform) = platform.upgrade() else { return Ok(Vec::new()) };
    let all = platform.store.list::<K>(&platform.system).await?;
    Ok(all.iter().map(|stored| Key(stored.meta().id.uuid())).collect())
}

/// The object, unless it is gone or of a form that this program does not know (which its GET says).
pub async fn load<K: Noun>(platform: &Platform, id: Id<K>) -> Result<Option<Object<K>>, ReadError> {
    match platform.store.get_by_id::<K>(&platform.system, id).await? {
        Some(Stored::Readable(object)) => Ok(Some(object)),
        Some(Stored::Unreadable { .. }) | None => Ok(None),
    }
}

/// What the engine is told.
pub fn next(controller: &'static str, key: Key, outcome: Result<Next, Trouble>) -> Next {
    match outcome {
        Ok(next) => next,
        Err(trouble) if trouble.is_stale() => Next::Again,
        Err(trouble) => {
            let error = &trouble as &dyn std::error::Error;
            tracing::error!(controller, key = %key.0, error, "a reconcile failed");
            Next::Backoff
        }
    }
}

/// Makes a panic visible on its object.
pub async fn panicked<K: Noun>(
    platform: &Weak<Platform>,
    key: Key,
    message: &str,
    note: impl FnOnce(&mut Object<K>, String) + Send,
) {
    let Some(platform) = platform.upgrade() else { return };
    let Ok(Some(mut object)) = load::<K>(&platform, Id::from_uuid(key.0)).await else { return };
    note(&mut object, format!("internal error: {message}"));
    let batch = Batch::system("panic in a reconcile").update_status(&object);
    if let Err(error) = platform.store.commit(batch).await {
        tracing::error!(key = %key.0, %error, "a panic could not be noted on its object");
    }
}

/// The longest that the plan lets an operation take (OSB-045), if the catalogue still has the plan.
pub async fn polling_seconds_max(
    platform: &Platform,
    broker: Id<ServiceBroker>,
    service: &str,
    plan: &str,
) -> Result<Option<u64>, ReadError> {
    let Some(broker) = load(platform, broker).await? else { return Ok(None) };
    let catalog = platform.brokers.catalog(platform, &broker).await?;
    let plan = catalog.as_ref().and_then(|catalog| catalog.service(service)?.plan(plan));
    Ok(plan.and_then(|plan| plan.maximum_polling_duration))
}
