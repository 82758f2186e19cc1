//! How opening, reading and committing fail. One enum each; what a person should do is in the message.

use std::{path::PathBuf, sync::Arc};

use dispatch_model::{Kind, Name};
use uuid::Uuid;

use crate::{BlobDigest, KeyringError, RunState};

/// What the back end said. Shared, because one failed sync fails every batch of its group.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why a store cannot be opened. Nothing was changed, except for migrations that were completed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "open database {path}: it was written by a newer version of dispatch (schema {found}, this one knows up to {known}); use that version, or restore a backup"
    )]
    NewerSchema { path: PathBuf, found: u32, known: u32 },
    #[error(
        "open database {path}: migration {version} in it is not the one of this program, so its tables may differ"
    )]
    AlteredMigration { path: PathBuf, version: u32 },
    #[error("open database {path}: the file is not a database of dispatch")]
    Foreign { path: PathBuf },
    #[error("load the key-encryption keys")]
    Keys(#[from] KeyringError),
    #[error(
        "open database {path}: its secrets are encrypted with key kek-{kek}, which is not in {keys}; restore that file, data and keys belong together"
    )]
    KeyMissing { path: PathBuf, keys: PathBuf, kek: u32 },
    #[error(
        "open database {path}: its secrets were not encrypted with the key {keys}/kek-{kek}; that file belongs to other data, restore the one that was in use here"
    )]
    KeyMismatch { path: PathBuf, keys: PathBuf, kek: u32 },
    #[error("open database {path}: no space left on its file system")]
    DiskFull { path: PathBuf },
    #[error("open database {path}")]
    Unavailable { path: PathBuf, source: Cause },
}

/// Why a read has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// Only in the system scope, where several organizations may use one name.
    #[error("look up {kind} {name}: several organizations have one, look in one organization")]
    Ambiguous { kind: Kind, name: Name },
    /// A row that no version of this program writes.
    #[error("read {what}: the row is damaged: {why}")]
    Damaged { what: String, why: String },
    /// Neither key nor row is at fault alone; they do not belong together.
    #[error("decrypt version {version} of {owner}: it was changed, or belongs to another key")]
    Unsealable { owner: Uuid, version: u64 },
    #[error("read from the store")]
    Unavailable(#[source] Cause),
    #[error("read from the store: it is closed")]
    Closed,
}

/// Why nothing of a batch was stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The name is taken in this organization.
    #[error("create {kind} {name}: one of that name exists")]
    Exists { kind: Kind, name: Name },
    /// Somebody changed the object after it was read: load it and decide again.
    #[error("save {kind} {id}: it was changed meanwhile")]
    Stale { kind: Kind, id: Uuid },
    #[error("save {kind} {id}: it does not exist any more")]
    Gone { kind: Kind, id: Uuid },
    /// Somebody refers to it since it was looked at: look and decide again.
    #[error("leave {target} to nobody: a {kind} refers to it")]
    Referred { kind: Kind, target: Uuid },
    #[error("encrypt version {version} of {owner}: there is one already")]
    AlreadySealed { owner: Uuid, version: u64 },
    #[error("encrypt version {version} of {owner} anew: it was changed, or belongs to another key")]
    Unsealable { owner: Uuid, version: u64 },
    /// `found` is the run's state, `None` if there is no such run.
    #[error("save run {id}: it is not as expected (found: {found:?})")]
    RunConflict { id: Uuid, found: Option<RunState> },
    #[error("refer to blob {digest}: it is not stored")]
    BlobMissing { digest: BlobDigest },
    /// `what` is counted in the unit that it names.
    #[error("store a batch: {found} {what}, at most {limit} are taken")]
    TooLarge { what: &'static str, found: usize, limit: usize },
    /// `what` is the file that cannot grow.
    #[error("write {what}: no space left on its file system")]
    DiskFull { what: PathBuf },
    #[error("write to the store")]
    Unavailable(#[source] Cause),
    #[error("write to the store: it is closed")]
    Closed,
}
