//! Blobs: stored once, swept when no object holds them.

use rusqlite::{Connection, OptionalExtension};

use super::{columns::read_error, group::ApplyError};
use crate::{BlobDigest, ReadError};

pub(crate) fn blob(
    connection: &Connection,
    digest: &BlobDigest,
) -> Result<Option<Vec<u8>>, ReadError> {
    let mut select = connection
        .prepare_cached("SELECT bytes FROM blob WHERE digest = ?1")
        .map_err(read_error)?;
    select.query_row((digest.as_bytes(),), |row| row.get(0)).optional().map_err(read_error)
}

pub(super) fn put(
    connection: &Connection,
    digest: &BlobDigest,
    bytes: &[u8],
) -> Result<(), ApplyError> {
    let sql = "INSERT INTO blob (digest, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    connection.prepare_cached(sql)?.execute((digest.as_bytes(), bytes))?;
    Ok(())
}

/// Deletes up to `limit` blobs that no object holds. Returns how many.
pub(super) fn sweep(connection: &Connection, limit: usize) -> Result<usize, ApplyError> {
    let sql = "DELETE FROM blob WHERE digest IN (SELECT digest FROM blob b WHERE NOT EXISTS \
               (SELECT 1 FROM object_blob o WHERE o.digest = b.digest) AND NOT EXISTS \
               (SELECT 1 FROM status_blob s WHERE s.digest = b.digest) LIMIT ?1)";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(connection.prepare_cached(sql)?.execute((limit,))?)
}
