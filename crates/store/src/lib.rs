//! The store: objects with revisions, secrets at rest, blobs, run records, audit and a change feed.
//!
//! There is one way to write, [`Store::commit`], and every read of an organization's rows takes a
//! [`Scope`]. It knows how rows are kept and nothing of what they mean: no kind is named here except
//! where a table is about it. SQLite is the only back end so far; what another one has to do is
//! written down as the conformance suite in `tests/`.

mod audit;
mod batch;
mod blob;
mod change;
mod error;
mod keyring;
mod options;
mod queue;
mod reads;
mod run;
mod run_buffer;
mod scope;
mod seal;
mod secret_values;
mod sqlite;
mod store;
mod stored;
mod upkeep;

pub use audit::{AuditEntry, AuditFilter, AuditRow};
pub use batch::{Batch, NewBatch, Receipt};
pub use blob::BlobDigest;
pub use change::{Change, What};
pub use error::{Cause, CommitError, OpenError, ReadError};
pub use keyring::{Keyring, KeyringError};
pub use options::Options;
pub use run::{RunFilter, RunPage, RunRecord, RunState, UnfinishedRun};
pub use scope::{OrgScope, Scope, SystemScope};
pub use seal::SealedKey;
pub use secret_values::SecretValues;
pub use store::{Counters, Store};
pub use stored::{Page, Stored};
pub use upkeep::{PruneError, RewrapError};
