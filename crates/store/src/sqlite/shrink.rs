//! Giving back what the database file has no more use for. A file that was made before this was possible never shrinks.

use rusqlite::Connection;

use super::group::ApplyError;

/// Pages that are left free, so that what is stored next finds them. 4 MiB.
const KEPT_FREE: usize = 1_024;

/// For a file that has no tables yet: it can give pages back. Changes nothing in one that has.
pub(super) fn allow(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")
}

/// Takes up to `limit` free pages from the file's end, to which others are moved. Returns how many. The file gets shorter
/// when the log is copied into it.
pub(super) fn shrink(connection: &Connection, limit: usize) -> Result<usize, ApplyError> {
    let free = || {
        let ask = "PRAGMA freelist_count";
        let count: i64 = connection.query_row(ask, (), |row| row.get(0))?;
        Ok::<_, rusqlite::Error>(usize::try_from(count).unwrap_or(0))
    };
    let before = free()?;
    let surplus = before.saturating_sub(KEPT_FREE).min(limit);
    if surplus == 0 {
        return Ok(0); // asked for none, SQLite gives back all
    }
    let mut pages = connection.prepare(&format!("PRAGMA incremental_vacuum({surplus})"))?;
    let mut pages = pages.query(())?;
    while pages.next()?.is_some() {}
    Ok(before.saturating_sub(free()?))
}
