//! Opening: the file, its connections, its tables, its keys.

use std::{fs, io, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc};

use rusqlite::{Connection, OpenFlags};

use super::{
    keys,
    migrate::{MIGRATIONS, check_ours, migrate, sqlite_error},
    shrink,
};
use crate::{Keyring, OpenError};

/// A connection to write with, some to read with, and the keyring that goes with the data.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) writer: Connection,
    pub(crate) readers: Vec<Connection>,
    pub(crate) keyring: Keyring,
    /// The number of the last batch.
    pub(crate) seq: u64,
}

const BUSY_TIMEOUT_MS: u32 = 5_000;
const STATEMENTS: usize = 64;
/// Of pages, for each connection that reads. The kernel has them too, and a warm function reads nothing; SQLite's own
/// default is 2 MiB for each, which a start with many objects fills.
const READER_CACHE_KIB: u32 = 256;
/// What the log of writes is cut back to once it has been copied into the database.
const WAL_BYTES_KEPT: u32 = 16 << 20;

/// Blocks: call it on a thread that may.
pub(crate) fn open(path: &Path, keyring: Keyring, readers: usize) -> Result<Opened, OpenError> {
    create_private(path).map_err(|error| io_error(error, path))?;
    let failed = |error| sqlite_error(error, path);
    let mut writer = connect(path).map_err(failed)?;
    migrate_first(&mut writer, path)?;
    writer
        .execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; \
             PRAGMA journal_size_limit = {WAL_BYTES_KEPT}"
        ))
        .map_err(failed)?;
    let keyring = keys::check(&mut writer, path, keyring)?;
    let seq: i64 =
        writer.query_row("SELECT last FROM sequence", (), |row| row.get(0)).map_err(failed)?;
    let readers: rusqlite::Result<Vec<Connection>> =
        (0..readers).map(|_| connect_reader(path)).collect();
    Ok(Opened { writer, readers: readers.map_err(failed)?, keyring, seq: seq.cast_unsigned() })
}

/// The journal's mode stays in the file, so it is not set before the file is known to be ours.
fn migrate_first(writer: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error| sqlite_error(error, path);
    check_ours(writer, path)?;
    shrink::allow(writer).map_err(failed)?;
    let mode: String =
        writer.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        let error = io::Error::other(format!(
            "its file system allows no write-ahead log (journal mode {mode})"
        ));
        return Err(io_error(error, path));
    }
    writer.execute_batch("PRAGMA synchronous = FULL").map_err(failed)?;
    migrate(writer, path, MIGRATIONS)
}

/// SQLite would make the file readable by everybody. Its other files get the mode of this one.
fn create_private(path: &Path) -> io::Result<()> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(_) => match path.parent() {
            Some(directory) if directory != Path::new("") => fs::File::open(directory)?.sync_all(),
            _ => Ok(()),
        },
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch(&format!(
        "PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}; PRAGMA trusted_schema = OFF"
    ))?;
    Ok(connection)
}

fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.execute_batch(&format!(
        "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{READER_CACHE_KIB}"
    ))?;
    Ok(connection)
}

fn io_error(error: io::Error, path: &Path) -> OpenError {
    let path = path.to_owned();
    if error.kind() == io::ErrorKind::StorageFull {
        OpenError::DiskFull { path }
    } else {
        OpenError::Unavailable { path, source: Arc::new(error) }
    }
}
