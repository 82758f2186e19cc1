//! Sealed items: encrypted before they get here, except that this is where the writer asks for it.

use dispatch_model::{Id, organization::Organization};
use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::{
    columns::{Params, column, counter, damaged, other_cause, scoped, uuid},
    group::ApplyError,
};
use crate::{
    CommitError, Keyring, ReadError, SealedKey,
    scope::Only,
    seal::{SealedRow, UnsealError, seal, unseal},
};

const TABLE: &str = "sealed";
const SELECT: &str = "SELECT owner, version, organization, kek, wrapped_key, body FROM sealed";

pub(crate) fn sealed(
    connection: &Connection,
    only: Only,
    key: SealedKey,
) -> Result<Option<SealedRow>, ReadError> {
    let sql = format!("{SELECT} WHERE owner = :owner AND version = :version {{scope}}");
    let params: Params<'_> =
        &[(":owner", key.owner.as_bytes()), (":version", &key.version.cast_signed())];
    Ok(scoped(connection, only, &sql, params, decode)?.pop())
}

fn decode(row: &Row<'_>) -> Result<SealedRow, ReadError> {
    let kek: i64 = column(row, TABLE, "kek")?;
    Ok(SealedRow {
        organization: uuid(row, TABLE, "organization")?.into(),
        key: SealedKey {
            owner: uuid(row, TABLE, "owner")?,
            version: counter(row, TABLE, "version")?,
        },
        kek: kek.try_into().map_err(|_| damaged(TABLE, "kek", "it is no key's number"))?,
        wrapped_key: column(row, TABLE, "wrapped_key")?,
        body: column(row, TABLE, "body")?,
    })
}

pub(super) fn put(
    connection: &Connection,
    keyring: &Keyring,
    organization: Id<Organization>,
    key: SealedKey,
    plain: &[u8],
) -> Result<(), ApplyError> {
    let row = encrypt(keyring, organization, key, plain)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO sealed (owner, version, organization, kek, wrapped_key, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?;
    let inserted = insert.execute((
        row.key.owner.as_bytes(),
        row.key.version.cast_signed(),
        row.organization.uuid().as_bytes(),
        row.kek,
        row.wrapped_key,
        row.body,
    ))?;
    if inserted == 1 {
        return Ok(());
    }
    Err(CommitError::AlreadySealed { owner: key.owner, version: key.version }.into())
}

pub(super) fn delete(connection: &Connection, key: SealedKey) -> Result<(), ApplyError> {
    let mut delete =
        connection.prepare_cached("DELETE FROM sealed WHERE owner = ?1 AND version = ?2")?;
    delete.execute((key.owner.as_bytes(), key.version.cast_signed()))?;
    Ok(())
}

/// Encrypts up to `limit` items anew, with a new data key, that are not under the newest key. Returns how many.
pub(super) fn reseal(
    connection: &Connection,
    keyring: &Keyring,
    limit: usize,
) -> Result<usize, ApplyError> {
    let newest = keyring.newest().unwrap_or(0);
    let sql = format!("{SELECT} WHERE kek <> :newest {{scope}} LIMIT :limit");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let old = scoped(connection, None, &sql, &[(":newest", &newest), (":limit", &limit)], decode)
        .map_err(|error| CommitError::Unavailable(std::sync::Arc::new(error)))?;
    let mut update = connection.prepare_cached(
        "UPDATE sealed SET kek = ?3, wrapped_key = ?4, body = ?5 WHERE owner = ?1 AND version = ?2",
    )?;
    for row in &old {
        let key = row.key;
        let plain = unseal(keyring, row.clone()).map_err(|_: UnsealError| {
            CommitError::Unsealable { owner: key.owner, version: key.version }
        })?;
        let new = encrypt(keyring, row.organization, key, &plain)?;
        let place = (key.owner.as_bytes(), key.version.cast_signed());
        update.execute((place.0, place.1, new.kek, new.wrapped_key, new.body))?;
    }
    Ok(old.len())
}

/// The numbers of the keys that items are under.
pub(super) fn keys_in_use(connection: &Connection) -> Result<Vec<u32>, rusqlite::Error> {
    let mut numbers = connection.prepare("SELECT DISTINCT kek FROM sealed ORDER BY kek")?;
    numbers.query_map((), |row| row.get(0))?.collect()
}

fn encrypt(
    keyring: &Keyring,
    organization: Id<Organization>,
    key: SealedKey,
    plain: &[u8],
) -> Result<SealedRow, CommitError> {
    seal(keyring, organization, key, plain)
        .map_err(|error| CommitError::Unavailable(other_cause(&error.to_string())))
}

/// The item that shows whether data and keys belong together.
pub(super) const CANARY: SealedKey = SealedKey { owner: Uuid::nil(), version: 0 };
