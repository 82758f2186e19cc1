//! The state behind the fake broker, its changes, and its release.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use super::books::Books;
use super::fault::{CallKind, Fault};
use super::settings::Settings;
use crate::broker::{
    Bind, Bound, Broker, Call, Deprovision, Failure, GetBinding, GetInstance, PollBinding,
    PollInstance, Progress, Provision, Provisioned, Removed, Unbind, Update, Updated,
};
use crate::types::{BindingDocument, Catalog, InstanceDocument, Plan, Service};

/// Everything that the fake broker knows.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) faults: HashMap<CallKind, VecDeque<Fault>>,
    pub(super) always: HashMap<CallKind, Fault>,
    pub(super) books: Books,
    /// Plans of which there have been instances, for when the catalogue has lost them (OSB-062).
    pub(super) used: HashMap<(String, String), (Service, Plan)>,
}

/// The state, shared by requests and tests.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    released: watch::Sender<()>,
    /// Held while books and backing change together.
    pub(super) one_at_a_time: tokio::sync::Mutex<()>,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        let state = State {
            settings,
            faults: HashMap::new(),
            always: HashMap::new(),
            books: Books::default(),
            used: HashMap::new(),
        };
        Self {
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            released: watch::Sender::new(()),
            one_at_a_time: tokio::sync::Mutex::default(),
        }
    }

    /// Does something with the state and tells those who wait for a change.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let result = work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        result
    }

    /// Looks at the state; nobody is told.
    pub(super) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits for the next release.
    pub(super) async fn hang(&self) {
        let mut released = self.released.subscribe();
        self.with(|state| state.books.hanging += 1);
        // An error means that the broker is gone, which releases as well.
        let _ = released.changed().await;
        self.with(|state| state.books.hanging -= 1);
    }

    pub(super) fn release(&self) {
        self.with(State::release_operations);
        self.released.send_replace(());
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[async_trait]
impl Broker for Shared {
    async fn catalog(&self, _: &Call) -> Result<Catalog, Failure> {
        Ok(self.read(|state| state.settings.catalog.clone()))
    }

    async fn provision(&self, _: &Call, request: Provision) -> Result<Provisioned, Failure> {
        self.provision_backed(request).await
    }

    async fn update(&self, _: &Call, request: Update) -> Result<Updated, Failure> {
        self.with(|state| state.update(request))
    }

    async fn deprovision(&self, _: &Call, request: Deprovision) -> Result<Removed, Failure> {
        self.deprovision_backed(request).await
    }

    async fn instance_operation(
        &self,
        _: &Call,
        request: PollInstance,
    ) -> Result<Progress, Failure> {
        self.with(|state| state.poll_instance(&request))
    }

    async fn bind(&self, _: &Call, request: Bind) -> Result<Bound, Failure> {
        self.bind_backed(request).await
    }

    async fn unbind(&self, _: &Call, request: Unbind) -> Result<Removed, Failure> {
        self.unbind_backed(request).await
    }

    async fn binding_operation(&self, _: &Call, request: PollBinding) -> Result<Progress, Failure> {
        self.with(|state| state.poll_binding(&request))
    }

    async fn get_instance(
        &self,
        _: &Call,
        request: GetInstance,
    ) -> Result<InstanceDocument, Failure> {
        self.with(|state| state.get_instance(&request))
    }

    async fn get_binding(&self, _: &Call, request: GetBinding) -> Result<BindingDocument, Failure> {
        self.with(|state| state.get_binding(&request))
    }
}
