//! What the workers of a pool can reach.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use uuid::Uuid;

use super::Inner;
use super::function::Pool;
use crate::network::Relay;
use crate::spawn::Endpoint;

impl Pool {
    /// Those of `wanted` that the worker was not given at its start. If there are any, this call is
    /// its last.
    pub(super) fn widen(&self, id: Uuid, wanted: &[Endpoint]) -> Vec<Endpoint> {
        let mut state = self.lock();
        let Some(entry) = state.entry(id) else { return Vec::new() };
        let missing = wanted.iter().filter(|endpoint| !entry.endpoints.contains(endpoint));
        let missing: Vec<Endpoint> = missing.cloned().collect();
        entry.widened = !missing.is_empty();
        missing
    }

    /// The worker reached all of these before, under other names for the same addresses.
    pub(super) fn not_widened(&self, id: Uuid, known: Vec<Endpoint>) {
        if let Some(entry) = self.lock().entry(id) {
            entry.endpoints.extend(known);
            entry.widened = false;
        }
    }

    /// Connects listeners of a worker with what they stand for.
    pub(super) fn connect(
        &self,
        inner: &Inner,
        id: Uuid,
        listeners: Vec<(Endpoint, OwnedFd)>,
    ) -> Result<(), std::io::Error> {
        let Some(dial) = inner.dial.as_ref().filter(|_| !listeners.is_empty()) else {
            return Ok(());
        };
        let mut state = self.lock();
        let Some(entry) = state.entry(id) else { return Ok(()) };
        entry.endpoints.extend(listeners.iter().map(|(endpoint, _)| endpoint.clone()));
        let limits = inner.settings.relay;
        let relay = entry.relay.get_or_insert_with(|| Relay::new(Arc::clone(dial), limits));
        relay.serve_all(listeners)
    }
}
