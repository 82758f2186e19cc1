//! What calls use: every deployed function, complete and in memory. Calls read this and never the store, so that warm
//! functions go on while the store does not (design §1).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak},
    time::Duration,
};

use dispatch_model::{
    Id, Name,
    function::{Deployed, Function},
    organization::Organization,
};
use tokio::sync::OwnedMutexGuard;

use crate::{call_context::ContextCache, schema::Schema};

/// The default time-out of a call (decision 37).
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
const TIMEOUT_MAX: Duration = Duration::from_secs(15 * 60);

/// A function as calls see it.
#[derive(Debug)]
pub struct Deployment {
    pub id: Id<Function>,
    pub organization: Id<Organization>,
    pub name: Name,
    pub deployed: Deployed,
    pub input: Option<Arc<Schema>>,
    pub output: Option<Arc<Schema>>,
    /// What every call is given besides its own: secrets and credentials, decrypted (decision 28).
    pub context: ContextCache,
}

impl Deployment {
    pub fn timeout(&self) -> Duration {
        match self.deployed.timeout_ms {
            0 => TIMEOUT_DEFAULT,
            ms => Duration::from_millis(ms).min(TIMEOUT_MAX),
        }
    }
}

type Served = HashMap<(Id<Organization>, Name), Arc<Deployment>>;

/// The snapshot.
#[derive(Debug, Default)]
pub struct Functions {
    served: RwLock<Served>,
    stored: RwLock<Stored>,
    turns: Mutex<HashMap<Id<Function>, Weak<tokio::sync::Mutex<()>>>>,
}

/// Which names functions have, in organizations where somebody has asked for one that is not served. A name that is
/// not among them is answered without the store; one that is may still be gone.
#[derive(Debug, Default)]
struct Stored {
    names: HashMap<Id<Organization>, HashSet<Name>>,
    /// Counts functions that were made.
    made: u64,
}

/// Leave to say which names there are.
#[derive(Debug)]
pub struct Listing {
    since: u64,
}

/// Whoever has a function's turn is the only one who brings it up to date, or forgets it.
pub type Turn = OwnedMutexGuard<()>;

impl Functions {
    pub fn get(&self, organization: Id<Organization>, name: &Name) -> Option<Arc<Deployment>> {
        self.served().get(&(organization, name.clone())).cloned()
    }

    pub fn matching(&self, wanted: impl Fn(&Deployment) -> bool) -> Vec<Arc<Deployment>> {
        self.served().values().filter(|deployment| wanted(deployment)).cloned().collect()
    }

    pub fn put(&self, deployment: Arc<Deployment>) {
        // A function that was made again under the same name has another id.
        let key = (deployment.organization, deployment.name.clone());
        self.served.write().unwrap_or_else(PoisonError::into_inner).insert(key, deployment);
    }

    pub fn remove(&self, id: Id<Function>) {
        let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
        served.retain(|_, deployment| deployment.id != id);
    }

    pub async fn turn(&self, id: Id<Function>) -> Turn {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            match turns.get(&id).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    turns.retain(|_, turn| turn.strong_count() > 0);
                    let turn = Arc::default();
                    turns.insert(id, Arc::downgrade(&turn));
                    turn
                }
            }
        };
        turn.lock_owned().await
    }

    /// Whether no function of that name can be stored. `Err`: nobody knows; list the names.
    pub fn is_absent(&self, organization: Id<Organization>, name: &Name) -> Result<bool, Listing> {
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
        match stored.names.get(&organization) {
            Some(names) => Ok(!names.contains(name)),
            None => Err(Listing { since: stored.made }),
        }
    }

    /// The names that were found. They do not count if a function was made meanwhile.
    pub fn listed(&self, listing: &Listing, organization: Id<Organization>, names: Vec<Name>) {
        let mut stored = self.stored();
        if stored.made == listing.since {
            stored.names.insert(organization, names.into_iter().collect());
        }
    }

    /// A function was stored.
    pub fn made(&self, organization: Id<Organization>, name: &Name) {
        let mut stored = self.stored();
        stored.made += 1;
        if let Some(names) = stored.names.get_mut(&organization) {
            names.insert(name.clone());
        }
    }

    /// Functions may have been stored.
    pub fn forget_names(&self, organization: Id<Organization>) {
        let mut stored = self.stored();
        stored.made += 1;
        stored.names.remove(&organization);
    }

    pub fn forget_all_names(&self) {
        let mut stored = self.stored();
        stored.made += 1;
        stored.names.clear();
    }

    fn served(&self) -> RwLockReadGuard<'_, Served> {
        self.served.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn stored(&self) -> RwLockWriteGuard<'_, Stored> {
        self.stored.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_name_is_absent_once_the_names_are_known_and_until_it_is_made() {
        let functions = Functions::default();
        let here = Id::from_uuid(Uuid::from_u128(1));
        let name = |text: &str| -> Name { text.parse().unwrap() };
        let check = |text: &str, expect: Option<bool>| {
            assert_eq!(functions.is_absent(here, &name(text)).ok(), expect, "{text}");
        };
        let listing = functions.is_absent(here, &name("f")).unwrap_err();
        functions.made(here, &name("f"));
        functions.listed(&listing, here, Vec::new());
        check("f", None);
        let listing = functions.is_absent(here, &name("f")).unwrap_err();
        functions.listed(&listing, here, vec![name("f")]);
        check("f", Some(false));
        check("g", Some(true));
        functions.made(here, &name("g"));
        check("g", Some(false));
        functions.forget_names(here);
        check("g", None);
    }

    #[tokio::test]
    async fn a_function_has_one_turn_at_a_time_and_another_has_its_own() {
        let functions = Functions::default();
        let (one, other) = (Id::from_uuid(Uuid::from_u128(1)), Id::from_uuid(Uuid::from_u128(2)));
        let turn = functions.turn(one).await;
        drop(functions.turn(other).await);
        let mut next = Box::pin(functions.turn(one));
        assert!(futures::poll!(&mut next).is_pending());
        drop(turn);
        drop(next.await);
        assert_eq!(functions.turns.lock().unwrap().len(), 2);
        drop(functions.turn(Id::from_uuid(Uuid::from_u128(3))).await);
        assert_eq!(functions.turns.lock().unwrap().len(), 1, "what nobody waits for is let go of");
    }
}
