//! The handle that everybody shares: opening, the one way to write, the change feed, closing.

use tokio::sync::broadcast;

use crate::{Batch, Change, CommitError, OpenError, Options, Receipt, RunRecord, SystemScope};

/// An open store. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Store {
    changes: broadcast::Sender<Change>,
}

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions that were synced; each holds one or more batches or run records.
    pub commits: u64,
    /// Batches that were stored.
    pub batches: u64,
    /// Batches that were refused or failed.
    pub failed_batches: u64,
    /// Records given to `record_run` that were stored.
    pub recorded_runs: u64,
    /// Records given to `record_run` that were lost, because they came faster than they could be stored.
    pub dropped_runs: u64,
}

impl Store {
    /// Opens the database, which is made if it is missing, brings its tables up to date, and makes sure that its
    /// secrets and the keys belong together.
    pub async fn open(options: Options) -> Result<(Self, SystemScope), OpenError> {
        let (changes, _) = broadcast::channel(options.changes.max(1));
        Ok((Self { changes }, SystemScope::new()))
    }

    /// Stores a batch, all of it or nothing. When it returns, the batch is on disk (decision 4).
    pub async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        batch.check_size()?;
        Err(CommitError::Closed)
    }

    /// Stores the record of a run soon (within 50 ms), without waiting for it. If records come faster than they can be
    /// stored, the oldest are dropped and counted. A record of the same id is replaced.
    pub fn record_run(&self, run: RunRecord) {
        let _ = run;
    }

    /// Changes from now on, sent once they are durable, in order. A receiver that falls behind gets
    /// `RecvError::Lagged` and scans again.
    pub fn watch(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Finishes what was asked for, writes everything into the database file and ends the threads. Other clones
    /// answer `Closed` from now on.
    pub async fn close(self) {}
}
