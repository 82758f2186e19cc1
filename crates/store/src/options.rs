//! What a store is opened with.

use std::path::PathBuf;

use crate::Keyring;

/// Where the data is, and how much of this machine the store may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database file. Its directory must exist; its name plus `-wal` and `-shm` are used too.
    pub path: PathBuf,
    pub keyring: Keyring,
    /// Threads that read, each with a connection; 1 to 16.
    pub readers: usize,
    /// Batches, and reads, that may be queued each; more wait for their turn.
    pub queue: usize,
    /// Below this much free space on the file system, only what deletes is still written (decision 42); 0 turns it off.
    pub reserve_bytes: u64,
    /// Changes that a receiver of [`Store::watch`](crate::Store::watch) may be behind before it is told that it lagged.
    pub changes: usize,
}

impl Options {
    pub const READERS_MAX: usize = 16;
    pub const CHANGES_MAX: usize = 1 << 20;

    pub fn new(path: impl Into<PathBuf>, keyring: Keyring) -> Self {
        Self {
            path: path.into(),
            keyring,
            readers: 2,
            queue: 1_024,
            reserve_bytes: 4 << 20,
            changes: 4_096,
        }
    }
}
