//! The handle that everybody shares: opening, the one way to write, the change feed, closing.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use tokio::sync::broadcast;

use crate::{
    Batch, Cause, Change, CommitError, Keyring, OpenError, Options, Receipt, RunRecord,
    SystemScope,
    queue::{Queue, Work},
    sqlite::{self, Readers, Writer},
};

/// An open store. Clones are the same store; it is closed when the last one is gone.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Arc<Queue>,
    readers: Readers,
    keyring: Arc<RwLock<Keyring>>,
    /// The writer has the strong one, so that receivers learn of its end.
    changes: broadcast::WeakSender<Change>,
    counts: Arc<Counts>,
    reader_threads: Mutex<Vec<JoinHandle<()>>>,
    writer_thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) commits: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) failed_batches: AtomicU64,
    pub(crate) recorded_runs: AtomicU64,
    pub(crate) postponed_runs: AtomicU64,
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
    /// How often a record given to `record_run` could not be stored and was kept for another try.
    pub postponed_runs: u64,
    /// Records given to `record_run` that were lost, because they came faster than they could be stored.
    pub dropped_runs: u64,
}

impl Store {
    /// Opens the database, which is made if it is missing, brings its tables up to date, and makes sure that its
    /// secrets and the keys belong together. Nothing is loaded, so it takes no longer for more objects.
    ///
    /// That only one process uses it is for the caller to make sure (`server.lock`, decision 17).
    pub async fn open(options: Options) -> Result<(Self, SystemScope), OpenError> {
        let path = options.path.clone();
        let opening = tokio::task::spawn_blocking(move || Self::open_blocking(options));
        let store = opening.await.map_err(|error| unavailable(&path, error))??;
        Ok((store, SystemScope::new()))
    }

    fn open_blocking(options: Options) -> Result<Self, OpenError> {
        let Options { path, keyring, readers, queue: places, reserve_bytes, changes } = options;
        let opened = sqlite::open(&path, keyring, readers.clamp(1, Options::READERS_MAX))?;
        let (changes, _) = broadcast::channel(changes.clamp(1, Options::CHANGES_MAX));
        let queue = Arc::new(Queue::new(places));
        let keyring = Arc::new(RwLock::new(opened.keyring));
        let counts = Arc::new(Counts::default());
        let weak = changes.downgrade();
        let writer = Writer {
            connection: opened.writer,
            path: path.clone(),
            reserve_bytes,
            keyring: Arc::clone(&keyring),
            queue: Arc::clone(&queue),
            changes,
            counts: Arc::clone(&counts),
            seq: opened.seq,
            runs_postponed: false,
        };
        let (readers, reader_threads) =
            Readers::start(opened.readers, places).map_err(|error| unavailable(&path, error))?;
        let writer_thread = thread::Builder::new().name("store-write".to_owned());
        let writer_thread =
            writer_thread.spawn(|| writer.run()).map_err(|error| unavailable(&path, error))?;
        let shared = Shared {
            queue,
            readers,
            keyring,
            changes: weak,
            counts,
            reader_threads: Mutex::new(reader_threads),
            writer_thread: Mutex::new(Some(writer_thread)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Stores a batch, all of it or nothing. When it returns, the batch is on disk (decision 4).
    ///
    /// Dropping the future does not take the batch back. After `Unavailable` it may have been stored all the same (a sync
    /// that failed, then a crash); after any other error it was not.
    pub async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        batch.check_size()?;
        let outcome = self.shared.queue.submit(Work::Batch(batch)).await?;
        Ok(Receipt { seq: outcome.seq })
    }

    /// Stores the record of a run soon (within 50 ms), without waiting for it. If records come faster than they can be
    /// stored, the oldest are dropped and counted: at most 10,000 and 64 MiB wait. A record of the same id is replaced.
    pub fn record_run(&self, run: RunRecord) {
        self.shared.queue.record(run);
    }

    /// Changes from now on, sent once they are durable, in order, and before `commit` returns. A receiver that falls
    /// behind gets `RecvError::Lagged` and scans again; `Closed` when the store is.
    pub fn watch(&self) -> broadcast::Receiver<Change> {
        match self.shared.changes.upgrade() {
            Some(changes) => changes.subscribe(),
            None => broadcast::channel(1).1,
        }
    }

    pub fn counters(&self) -> Counters {
        let counts = &self.shared.counts;
        Counters {
            commits: counts.commits.load(Relaxed),
            batches: counts.batches.load(Relaxed),
            failed_batches: counts.failed_batches.load(Relaxed),
            recorded_runs: counts.recorded_runs.load(Relaxed),
            postponed_runs: counts.postponed_runs.load(Relaxed),
            dropped_runs: self.shared.queue.runs_dropped(),
        }
    }

    /// Finishes what was asked for, writes everything into the database file and ends the threads. Other clones
    /// answer `Closed` from now on.
    pub async fn close(self) {
        let shared = Arc::clone(&self.shared);
        let closing = tokio::task::spawn_blocking(move || shared.close());
        if let Err(error) = closing.await {
            tracing::error!(%error, "the store was not closed in order");
        }
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.shared.readers
    }

    pub(crate) fn keyring(&self) -> &RwLock<Keyring> {
        &self.shared.keyring
    }
}

impl Shared {
    /// The readers go first: the log of writes can be emptied only when nobody reads from it.
    fn close(&self) {
        self.readers.close();
        let threads = &mut *self.reader_threads.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(threads).into_iter().for_each(join);
        self.queue.close();
        let thread = self.writer_thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.into_iter().for_each(join);
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the store ended in a panic");
    }
}

impl Drop for Shared {
    /// Does not wait: the threads finish what they have, and end.
    fn drop(&mut self) {
        self.readers.close();
        self.queue.close();
    }
}

fn unavailable(
    path: &std::path::Path,
    error: impl std::error::Error + Send + Sync + 'static,
) -> OpenError {
    let source: Cause = Arc::new(error);
    OpenError::Unavailable { path: path.to_owned(), source }
}
