//! What all features share: the store, the clock, catalogues, clients of brokers, wake-ups. Made once, in the wiring.

use std::{collections::BTreeMap, sync::Arc};

use dispatch_engine::{Clock, Entropy, Key, Waker};
use dispatch_model::{Kind, Name, organization::Organization};
use dispatch_store::{OrgScope, ReadError, Store, SystemScope};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    brokers::Brokers, consumers::Consumers, faults::Faults, http::Authenticator, workers::Workers,
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
    /// Where crash tests end the process. Empty otherwise.
    pub faults: Faults,
    /// Held answers end when this does.
    pub stopping: CancellationToken,
}

impl Platform {
    /// The scope of an organization, for a request that has been authenticated.
    pub async fn organization(&self, name: &Name) -> Result<Option<OrgScope>, ReadError> {
        let found = self.store.get::<Organization>(&self.system, name).await?;
        Ok(found.map(|stored| self.system.organization(stored.meta().organization)))
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
