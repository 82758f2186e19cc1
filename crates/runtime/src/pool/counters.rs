//! What the pools count, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A reading of the counters. All but `waiting` count up from the start of the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that found a worker ready.
    pub warm_calls: u64,
    /// Calls that waited for a worker.
    pub waited_calls: u64,
    /// Interpreters started, and those of them that did not become workers.
    pub starts: u64,
    pub failed_starts: u64,
    /// Workers killed at the end of a call's time.
    pub timeouts: u64,
    /// Workers that ended or were killed for what they did during a call.
    pub crashes: u64,
    /// Workers that ended for having had no call for long.
    pub expired: u64,
    /// Calls refused because too many were waiting, or had waited for too long.
    pub overloaded: u64,
    /// Calls whose caller went away before their end.
    pub abandoned: u64,
    /// Calls that wait at this moment.
    pub waiting: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) warm_calls: AtomicU64,
    pub(super) waited_calls: AtomicU64,
    pub(super) starts: AtomicU64,
    pub(super) failed_starts: AtomicU64,
    pub(super) timeouts: AtomicU64,
    pub(super) crashes: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) overloaded: AtomicU64,
    pub(super) abandoned: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn read(&self, waiting: u64) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            warm_calls: read(&self.warm_calls),
            waited_calls: read(&self.waited_calls),
            starts: read(&self.starts),
            failed_starts: read(&self.failed_starts),
            timeouts: read(&self.timeouts),
            crashes: read(&self.crashes),
            expired: read(&self.expired),
            overloaded: read(&self.overloaded),
            abandoned: read(&self.abandoned),
            waiting,
        }
    }
}
