//! The limit of a cluster's disk: measuring, and what happens beyond it.
//!
//! PostgreSQL has no such limit, and a file system's quota is not to be had everywhere. So the data
//! directory is measured every few seconds. Beyond the limit the database is read-only by default,
//! which a session that wants to free space can undo for itself; who abuses that is let in no more a
//! quarter above it. What is written between two measurements is not prevented.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::{fs, io};

use super::super::error::PgError;
use super::super::names::InstanceNames;
use super::super::objects::{self, Of};
use super::super::provision;
use super::super::server::Server;
use super::super::sql;

/// What may be done with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Everything.
    Writable,
    /// It is read-only, unless a session says otherwise for itself.
    Full,
    /// No connection is let in.
    Shut,
}

impl Level {
    /// What is to be after so many bytes were measured. Each level is left lower than it is reached,
    /// so that it does not change at every measurement.
    pub(super) fn after(self, used: u64, limit: u64) -> Self {
        let at_least = |parts: u64| used >= limit / 20 * parts;
        match self {
            _ if at_least(25) => Self::Shut,
            Self::Shut if at_least(22) => Self::Shut,
            _ if at_least(20) => Self::Full,
            Self::Shut | Self::Full if at_least(18) => Self::Full,
            _ => Self::Writable,
        }
    }

    /// As it is told to who asks for the instance.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::Full => "full: read-only by default",
            Self::Shut => "far too full: no connections",
        }
    }
}

/// The bytes that a data directory takes on the disk, without its write-ahead log, whose size is
/// bounded by itself. Files that vanish meanwhile are not there.
pub(super) fn measure(data: &Path) -> io::Result<u64> {
    let mut sum = 0;
    let mut directories = vec![data.to_owned()];
    let log = data.join("pg_wal");
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && directory != data => continue,
            entries => entries?,
        };
        for entry in entries {
            let found = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)));
            match found {
                Ok((path, found)) if found.is_dir() && path != log => directories.push(path),
                Ok((_, found)) => sum += found.blocks() * 512,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(sum)
}

/// The level at which a database is, as PostgreSQL keeps it.
pub(super) async fn level(server: &Server, names: &InstanceNames) -> Result<Level, PgError> {
    const STEP: &str = "look whether the database is full";
    let query = "SELECT d.datconnlimit = 0, EXISTS (SELECT FROM pg_db_role_setting s \
         WHERE s.setdatabase = d.oid AND s.setrole = 0 \
         AND 'default_transaction_read_only=on' = ANY(s.setconfig)) \
         FROM pg_database d WHERE d.datname = $1";
    let session = server.pool.fresh().await?;
    let rows = session.rows(STEP, query, &[&names.database]).await?;
    session.give_back().await;
    let row = rows.first().ok_or(PgError::Answer { step: STEP })?;
    let column = |at| row.try_get(at).map_err(|_| PgError::Answer { step: STEP });
    Ok(match (column(0)?, column(1)?) {
        (true, _) => Level::Shut,
        (false, true) => Level::Full,
        (false, false) => Level::Writable,
    })
}

/// Brings a database to a level. Sessions that were begun at another one are ended where they could
/// go on writing.
pub(super) async fn bring_to(
    level: Level,
    server: &Server,
    names: &InstanceNames,
    connections: u16,
) -> Result<(), PgError> {
    let session = server.pool.locked(names.lock).await?;
    let database = sql::name(&names.database);
    let (limit, setting) = match level {
        Level::Writable => (connections, "RESET default_transaction_read_only"),
        Level::Full => (connections, "SET default_transaction_read_only = on"),
        Level::Shut => (0, "SET default_transaction_read_only = on"),
    };
    let statement = format!("ALTER DATABASE {database} {setting}");
    session.run("set whether the database is read-only", &statement).await?;
    provision::limit_connections(&session, names, limit).await?;
    if level != Level::Writable {
        objects::end_sessions(&session, Of::Database(&names.database)).await?;
    }
    session.give_back().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_level_is_left_lower_than_it_is_reached() {
        let check = |from: Level, percent: u64, expect: Level| {
            let got = from.after(GIB / 100 * percent + 100, GIB);
            assert_eq!(got, expect, "{from:?} at {percent} %");
        };
        use Level::{Full, Shut, Writable};
        for (percent, from_writable, from_full, from_shut) in [
            (0, Writable, Writable, Writable),
            (89, Writable, Writable, Writable),
            (91, Writable, Full, Full),
            (99, Writable, Full, Full),
            (101, Full, Full, Full),
            (109, Full, Full, Full),
            (111, Full, Full, Shut),
            (124, Full, Full, Shut),
            (126, Shut, Shut, Shut),
            (1000, Shut, Shut, Shut),
        ] {
            check(Writable, percent, from_writable);
            check(Full, percent, from_full);
            check(Shut, percent, from_shut);
        }
    }

    #[test]
    fn what_is_measured_is_the_disk_without_the_write_ahead_log() {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path();
        for inner in ["base/5", "pg_wal"] {
            fs::create_dir_all(data.join(inner)).expect("made");
        }
        let before = measure(data).expect("measured");
        fs::write(data.join("pg_wal/1"), vec![1; 1 << 20]).expect("written");
        let with_log = measure(data).expect("measured");
        assert!(with_log < before + (1 << 19), "{before} {with_log}");
        fs::write(data.join("base/5/1"), vec![1; 1 << 20]).expect("written");
        let sparse = fs::File::create(data.join("base/5/2")).expect("made");
        sparse.set_len(1 << 30).expect("lengthened");
        let with_table = measure(data).expect("measured");
        assert!((1 << 20..1 << 21).contains(&(with_table - with_log)), "{with_log} {with_table}");
        assert!(measure(&data.join("none")).is_err());
    }
}
