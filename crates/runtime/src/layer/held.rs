//! Who is about to use a layer: a build that has just made or found it holds it until what refers to it is stored, and
//! a sweep leaves alone what was held at any moment since it began to ask what is used.
//!
//! In memory only: after a crash nobody holds anything, and every build runs again.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Digest;

#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    held: HashMap<Digest, usize>,
    /// While a sweep is under way: everything that was held since it began.
    seen: Option<HashSet<Digest>>,
}

/// A layer that no sweep removes while this lives.
pub struct Held {
    layer: Digest,
    holds: Arc<Holds>,
}

impl Holds {
    /// Whoever has this is alone with the layers' names.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds it, there or not.
    pub(super) fn hold(self: &Arc<Self>, layer: Digest) -> Held {
        self.lock().hold(layer);
        Held { layer, holds: Arc::clone(self) }
    }

    /// Holds it if `is_there` says so of a moment in which no sweep can take it away.
    pub(super) fn hold_if(
        self: &Arc<Self>,
        layer: Digest,
        is_there: impl FnOnce() -> bool,
    ) -> Option<Held> {
        let mut state = self.lock();
        is_there().then(|| {
            state.hold(layer);
            Held { layer, holds: Arc::clone(self) }
        })
    }
}

impl State {
    fn hold(&mut self, layer: Digest) {
        *self.held.entry(layer).or_default() += 1;
        if let Some(seen) = &mut self.seen {
            seen.insert(layer);
        }
    }

    /// False if one is under way already.
    pub(super) fn begin_sweep(&mut self) -> bool {
        if self.seen.is_some() {
            return false;
        }
        self.seen = Some(self.held.keys().copied().collect());
        true
    }

    pub(super) fn end_sweep(&mut self) {
        self.seen = None;
    }

    pub(super) fn was_held(&self, layer: Digest) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.contains(&layer))
    }
}

impl Held {
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.layer
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        self.holds.hold(self.layer)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.holds.lock();
        if let Some(count) = state.held.get_mut(&self.layer) {
            *count -= 1;
            if *count == 0 {
                state.held.remove(&self.layer);
            }
        }
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.layer == other.layer
    }
}

impl Eq for Held {}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({})", self.layer)
    }
}
