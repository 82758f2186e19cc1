//! What all features share: the store, the clock, catalogues, clients of brokers, wake-ups. Made once, in the wiring.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use dispatch_engine::{Clock, Entropy, Key, Waker};
use dispatch_gateway::Gateway;
use dispatch_model::{Id, Kind, Name, organization::Organization};
use dispatch_store::{OrgScope, ReadError, Store, SystemScope};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    brokers::Brokers, consumers::Consumers, faults::Faults, features::run::Runs,
    functions::Functions, http::Authenticator, workers::Workers,
};

/// The parts of one server.
#[derive(Debug)]
pub struct Platform {
    pub store: Store,
    /// Controllers see every organization. Handlers have their call's `OrgScope`.
    pub system: SystemScope,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub authenticator: Authenticator,
    pub brokers: Brokers,
    pub wakers: Wakers,
    pub consumers: Arc<dyn Consumers>,
    pub workers: Arc<Workers>,
    /// What calls use.
    pub functions: Functions,
    pub runs: Runs,
    pub gateway: Gateway,
    /// Whoever publishes the gateway's table holds this.
    pub publishing: tokio::sync::Mutex<()>,
    /// Organizations by name: looked up at every request, and never renamed.
    pub organizations: RwLock<HashMap<Name, Id<Organization>>>,
    /// Where crash tests end the process. Empty otherwise.
    pub faults: Faults,
    /// Held answers end when this does.
    pub stopping: CancellationToken,
}

impl Platform {
    /// The scope of an organization, for a request that has been authenticated.
    pub async fn organization(&self, name: &Name) -> Result<Option<OrgScope>, ReadError> {
        let known = self.organizations().get(name).copied();
        if let Some(known) = known {
            return Ok(Some(self.system.organization(known)));
        }
        let Some(stored) = self.store.get::<Organization>(&self.system, name).await? else {
            return Ok(None);
        };
        let id = stored.meta().organization;
        let mut known = self.organizations.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.clone(), id);
        Ok(Some(self.system.organization(id)))
    }

    fn organizations(&self) -> RwLockReadGuard<'_, HashMap<Name, Id<Organization>>> {
        self.organizations.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the controller of a kind. Kinds without one ignore it.
#[derive(Debug, Default)]
pub struct Wakers(BTreeMap<Kind, Waker>);

impl Wakers {
    pub const fn new(wakers: BTreeMap<Kind, Waker>) -> Self {
        Self(wakers)
    }

    pub fn wake(&self, kind: Kind, id: Uuid) {
        if let Some(waker) = self.0.get(&kind) {
            waker.wake(Key(id));
        }
    }

    pub fn all(&self) -> impl Iterator<Item = (Kind, &Waker)> {
        self.0.iter().map(|(kind, waker)| (*kind, waker))
    }
}
