//! What every controller of the control plane does the same way: load, tell the engine when to come again, and say so
//! on the object when something of ours goes wrong.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError, Weak},
};

use dispatch_engine::{Key, Next};
use dispatch_model::{Id, Noun, Object, broker_operation::Retry, service_broker::ServiceBroker};
use dispatch_store::{Batch, Change, CommitError, ReadError, Receipt, Stored};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use uuid::Uuid;

use crate::{features, platform::Platform};

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
        use CommitError::{Gone, Referred, Stale};
        matches!(self, Self::Commit(Stale { .. } | Gone { .. } | Referred { .. }))
    }
}

/// The keys of a kind, for start and rescan.
pub async fn keys<K: Noun>(
    platform: &Weak<Platform>,
) -> Result<Vec<Key>, Box<dyn std::error::Error + Send + Sync>> {
    let Some(platform) = platform.upgrade() else { return Ok(Vec::new()) };
    let all = platform.store.ids::<K>(&platform.system).await?;
    Ok(all.into_iter().map(|id| Key(id.uuid())).collect())
}

/// The object, unless it is gone or of a form that this program does not know (which its GET says).
pub async fn load<K: Noun>(platform: &Platform, id: Id<K>) -> Result<Option<Object<K>>, ReadError> {
    match platform.store.get_by_id::<K>(&platform.system, id).await? {
        Some(Stored::Readable(object)) => Ok(Some(object)),
        Some(Stored::Unreadable { .. }) | None => Ok(None),
    }
}

/// Returns when the object has another generation, or is gone. `changes` must be from before it was read.
pub async fn overtaken<K: Noun>(
    platform: &Platform,
    object: &Object<K>,
    mut changes: Receiver<Change>,
) {
    loop {
        match changes.recv().await {
            Ok(change) if change.id != object.meta.id.uuid() => continue,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            // The store is closed: the server ends.
            Err(RecvError::Closed) => return std::future::pending().await,
        }
        let now = load::<K>(platform, object.meta.id).await;
        let same = |now: Object<K>| now.meta.generation == object.meta.generation;
        // What cannot be read now is read when the outcome is saved.
        if now.is_ok_and(|now| !now.is_some_and(same)) {
            return;
        }
    }
}

/// Writes what a controller has decided or learnt. `point` names the write in crash tests.
pub async fn commit(
    platform: &Platform,
    point: &'static str,
    batch: Batch,
) -> Result<Receipt, CommitError> {
    match platform.faults.refuse(point) {
        Some(error) => Err(error),
        None => platform.faults.around(point, platform.store.commit(batch)).await,
    }
}

/// What this process knows of operations in flight beyond what is stored. After a crash nothing is known, and an
/// operation may have been sent or not.
#[derive(Debug)]
pub struct Flights<A>(Mutex<BTreeMap<Uuid, Known<A>>>);

#[derive(Debug)]
enum Known<A> {
    /// Begun and not sent, or sent and certainly without effect.
    Unsent,
    /// Answered, and the store could not take the answer yet.
    Answered { answer: A, maybe_sent: bool },
}

impl<A> Default for Flights<A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<A> Flights<A> {
    /// Nothing of this operation has had an effect.
    pub fn unsent(&self, operation: Uuid) {
        self.known().insert(operation, Known::Unsent);
    }

    pub fn is_unsent(&self, operation: Uuid) -> bool {
        matches!(self.known().get(&operation), Some(Known::Unsent))
    }

    /// An answer that is to be saved later. It may not come a second time (OSB-123, OSB-157).
    pub fn keep(&self, operation: Uuid, answer: A, maybe_sent: bool) {
        self.known().insert(operation, Known::Answered { answer, maybe_sent });
    }

    /// Before sending: an answer that is there already, and whether an earlier try may have reached the broker.
    pub fn take(&self, operation: Uuid) -> (Option<A>, bool) {
        match self.known().remove(&operation) {
            None => (None, true),
            Some(Known::Unsent) => (None, false),
            Some(Known::Answered { answer, maybe_sent }) => (Some(answer), maybe_sent),
        }
    }

    /// The operation is over, or replaced by another.
    pub fn forget(&self, operation: Uuid) {
        self.known().remove(&operation);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Uuid, Known<A>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The longest that the plan lets an operation take (OSB-045), if the catalogue still has the plan. An answer of the
/// broker is worth more than this, so that a catalogue that cannot be read is none.
pub async fn polling_seconds_max(
    platform: &Platform,
    broker: Id<ServiceBroker>,
    service: &str,
    plan: &str,
) -> Option<u64> {
    let broker = load(platform, broker).await.ok()??;
    let catalog = platform.brokers.catalog(platform, &broker).await.ok()??;
    catalog.service(service)?.plan(plan)?.maximum_polling_duration
}

/// Says on an object that is to go why it is still there. Whoever is in the way wakes it when it has gone or has failed
/// to; its last error is the reason (decision 13). `why` gives the reason of one that refers to the object.
pub async fn await_others<K: Noun, User: Noun>(
    platform: &Platform,
    point: &'static str,
    mut object: Object<K>,
    retry: fn(&mut K::Status) -> &mut Retry,
    why: impl Fn(&Object<User>) -> Option<String> + Send,
) -> Result<Next, Trouble> {
    let id = object.meta.id.uuid();
    let mut words = Vec::new();
    for stored in platform.store.list_referring::<User>(&platform.system, id).await? {
        let why = match &stored {
            Stored::Readable(user) => why(user),
            Stored::Unreadable { why, .. } => Some(format!("it cannot be read: {why}")),
        };
        words.extend(why.map(|why| format!("{} {}: {why}", User::KIND.noun(), stored.meta().name)));
    }
    words.extend(features::orphan::last_errors(platform, id).await?);
    let why = (!words.is_empty()).then(|| in_words(&words));
    let noted = &mut retry(&mut object.status).last_error;
    if *noted == why {
        return Ok(Next::Done);
    }
    *noted = why;
    let batch = Batch::system("something is in the way").update_status(&object);
    commit(platform, point, batch).await?;
    Ok(Next::Done)
}

/// Reasons as one text: the first ten, and how many more there are.
pub fn in_words<T: ToString>(reasons: &[T]) -> String {
    const SHOWN: usize = 10;
    let mut words: Vec<String> = reasons.iter().take(SHOWN).map(T::to_string).collect();
    if reasons.len() > SHOWN {
        words.push(format!("and {} more", reasons.len() - SHOWN));
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_reasons_are_given_and_the_others_counted() {
        let check = |count: u32, expect: &str| {
            assert_eq!(in_words(&(1..=count).collect::<Vec<_>>()), expect);
        };
        check(1, "1");
        check(10, "1; 2; 3; 4; 5; 6; 7; 8; 9; 10");
        check(11, "1; 2; 3; 4; 5; 6; 7; 8; 9; 10; and 1 more");
        check(1_000, "1; 2; 3; 4; 5; 6; 7; 8; 9; 10; and 990 more");
    }
}
