//! What calls of one function are given, kept from call to call until something in it changes (decision 28).
//!
//! A read that began before a change and ended after it has the old values: it must not put them here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use super::CallContext;

/// Empty until the first call, and again whenever something in it changes.
#[derive(Debug, Default)]
pub struct ContextCache {
    known: ArcSwapOption<CallContext>,
    /// Counts changes.
    changes: Mutex<u64>,
}

/// Leave to put in what is read from now on.
#[derive(Debug)]
pub struct Reading {
    since: u64,
}

impl ContextCache {
    /// What is known, or leave to read it.
    pub fn get(&self) -> Result<Arc<CallContext>, Reading> {
        self.known.load_full().ok_or_else(|| Reading { since: *self.changes() })
    }

    /// Keeps what was read, unless something has changed since the reading began.
    pub fn put(&self, reading: Reading, context: Arc<CallContext>) {
        let changes = self.changes();
        if *changes == reading.since {
            self.known.store(Some(context));
        }
    }

    /// Something in it has changed.
    pub fn clear(&self) {
        *self.changes() += 1;
        self.known.store(None);
    }

    fn changes(&self) -> MutexGuard<'_, u64> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn context(password: &str) -> Arc<CallContext> {
        let members = Zeroizing::new(password.to_owned());
        let (bindings, endpoints) = (Arc::default(), Arc::default());
        Arc::new(CallContext { members, bindings, endpoints, values: Vec::new() })
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let cache = ContextCache::default();
        let known = || cache.get().ok().map(|known| known.members.to_string());
        let slow = cache.get().unwrap_err();
        cache.clear();
        cache.put(slow, context("old"));
        assert_eq!(known(), None);

        let (first, second) = (cache.get().unwrap_err(), cache.get().unwrap_err());
        cache.put(first, context("new"));
        assert_eq!(known().as_deref(), Some("new"));
        cache.clear();
        cache.put(second, context("new"));
        assert_eq!(known(), None, "two read it, and it changed after the first had put it in");
    }
}
