//! Whether data and keys belong together: asked at every start, answered by an item that was sealed at the first.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

use super::{
    group::ApplyError,
    migrate::sqlite_error,
    sealed::{CANARY, keys_in_use, put, sealed},
};
use crate::{
    CommitError, Keyring, OpenError, ReadError,
    seal::{UnsealError, unseal},
};

/// Returns the keyring, which has got its first key if this is the first start.
pub(super) fn check(
    connection: &mut Connection,
    path: &Path,
    keyring: Keyring,
) -> Result<Keyring, OpenError> {
    // An empty one may have been loaded before somebody, this process perhaps, made the first key.
    let keyring = match keyring.newest() {
        Some(_) => keyring,
        None => keyring.again()?,
    };
    let keys = || keyring.directory().to_owned();
    let missing = |kek| OpenError::KeyMissing { path: path.to_owned(), keys: keys(), kek };
    let canary = sealed(connection, None, CANARY).map_err(|error| unreadable(error, path))?;
    let Some(canary) = canary else {
        let keyring = if keyring.newest().is_none() { keyring.add_key()? } else { keyring };
        plant(connection, path, &keyring)?;
        return Ok(keyring);
    };
    let kek = canary.kek;
    match unseal(&keyring, canary) {
        Ok(_) => {}
        Err(UnsealError::KeyMissing) => return Err(missing(kek)),
        Err(UnsealError::Mismatch) => {
            return Err(OpenError::KeyMismatch { path: path.to_owned(), keys: keys(), kek });
        }
    }
    let in_use = keys_in_use(connection).map_err(|error| sqlite_error(error, path))?;
    match in_use.into_iter().find(|kek| keyring.key(*kek).is_none()) {
        Some(kek) => Err(missing(kek)),
        None => Ok(keyring),
    }
}

fn plant(connection: &mut Connection, path: &Path, keyring: &Keyring) -> Result<(), OpenError> {
    let failed = |error| sqlite_error(error, path);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    match put(&transaction, keyring, Uuid::nil().into(), CANARY, b"dispatch") {
        Ok(()) => transaction.commit().map_err(failed),
        Err(ApplyError::Sqlite(error)) => Err(failed(error)),
        Err(ApplyError::Refused(CommitError::Unavailable(source))) => {
            Err(OpenError::Unavailable { path: path.to_owned(), source })
        }
        Err(ApplyError::Refused(other)) => Err(OpenError::Unavailable {
            path: path.to_owned(),
            source: std::sync::Arc::new(other),
        }),
    }
}

fn unreadable(error: ReadError, path: &Path) -> OpenError {
    OpenError::Unavailable { path: path.to_owned(), source: std::sync::Arc::new(error) }
}
