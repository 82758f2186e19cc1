//! What somebody has to ask for now and then: sweeping blobs, dropping old runs, shrinking, changing keys. Each works in
//! small transactions, so that requests get in between, and can be interrupted and repeated.

use std::sync::PoisonError;

use jiff::Timestamp;

use crate::{CommitError, Keyring, ReadError, Store, SystemScope, queue::Work, sqlite};

const BLOBS_AT_ONCE: usize = 32;
const RUNS_AT_ONCE: usize = 500;
const RUNS_LOOKED_FOR: usize = 10_000;
const SEALED_AT_ONCE: usize = 100;
/// 1 MiB, so that no commit waits long for it.
const PAGES_AT_ONCE: usize = 256;
/// 256 MiB; the rest has time.
const PAGES_MAX: u64 = 65_536;

/// Why items were not encrypted anew. Those that were can be read; so can the others.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RewrapError {
    #[error("take the new keys: one that is in use is not among them")]
    KeyLeftOut,
    #[error("encrypt with the newest key")]
    Store(#[from] CommitError),
}

/// Why no more runs were deleted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PruneError {
    #[error("look for runs to delete")]
    Read(#[from] ReadError),
    #[error("delete runs")]
    Commit(#[from] CommitError),
}

impl Store {
    /// Deletes the blobs that no object holds. Returns how many.
    pub async fn sweep_blobs(&self, _scope: &SystemScope) -> Result<u64, CommitError> {
        self.until_none_is_left(|| Work::SweepBlobs { limit: BLOBS_AT_ONCE }, BLOBS_AT_ONCE).await
    }

    /// Deletes runs that are done and were created before `before`, or are not among the newest `keep` of their
    /// function. Returns how many.
    pub async fn prune_runs(
        &self,
        _scope: &SystemScope,
        before: Timestamp,
        keep: u32,
    ) -> Result<u64, PruneError> {
        let mut total = 0;
        loop {
            // Looking for them takes longest, so it is not the writer who looks.
            let surplus = move |db: &_| sqlite::surplus(db, before, keep, RUNS_LOOKED_FOR);
            let ids = self.readers().read(surplus).await?;
            for some in ids.chunks(RUNS_AT_ONCE) {
                total += self.queue().submit(Work::DeleteRuns(some.to_vec())).await?.rows as u64;
            }
            if ids.len() < RUNS_LOOKED_FOR {
                return Ok(total);
            }
        }
    }

    /// Gives pages of the database file that hold nothing any more back to the file system, but for a few, and not all at
    /// once if there are very many. Returns how many. A file that was made by a version before this keeps them.
    pub async fn shrink(&self, _scope: &SystemScope) -> Result<u64, CommitError> {
        let mut total = 0;
        while total < PAGES_MAX {
            let pages = self.queue().submit(Work::Shrink { limit: PAGES_AT_ONCE }).await?.rows;
            total += pages as u64;
            if pages < PAGES_AT_ONCE {
                break;
            }
        }
        Ok(total)
    }

    /// Takes a keyring with more keys into use, and encrypts with its newest one everything that is not, each item with a
    /// new data key. Returns how many. After that the older keys are not needed any more, except by backups.
    pub async fn rewrap(&self, _scope: &SystemScope, keyring: Keyring) -> Result<u64, RewrapError> {
        {
            let mut present = self.keyring().write().unwrap_or_else(PoisonError::into_inner);
            if !keyring.includes(&present) {
                return Err(RewrapError::KeyLeftOut);
            }
            *present = keyring;
        }
        let work = || Work::Reseal { limit: SEALED_AT_ONCE };
        Ok(self.until_none_is_left(work, SEALED_AT_ONCE).await?)
    }

    async fn until_none_is_left(
        &self,
        work: impl Fn() -> Work + Send,
        at_once: usize,
    ) -> Result<u64, CommitError> {
        let mut total = 0;
        loop {
            let rows = self.queue().submit(work()).await?.rows;
            total += rows as u64;
            if rows < at_once {
                return Ok(total);
            }
        }
    }
}
