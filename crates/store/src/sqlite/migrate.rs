//! Migrations: numbered SQL files, forward only, each in a transaction of its own together with its checksum.
//! A process that is killed in one leaves the version before it.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{Connection, TransactionBehavior};

use super::columns::{cause, is_disk_full};
use crate::OpenError;

/// `PRAGMA application_id` of our files, set by the first migration ("DSPT").
const APPLICATION: i32 = 0x4453_5054;

#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub(super) version: u32,
    pub(super) sql: &'static str,
}

/// All of them, in order. One that was released is never changed: its checksum is in every database.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, sql: include_str!("../../migrations/sqlite/0001_objects.sql") },
    Migration { version: 2, sql: include_str!("../../migrations/sqlite/0002_status_blobs.sql") },
];

/// Brings the tables up to the last of `migrations`. Changes nothing in a file that is not ours or newer.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[Migration],
) -> Result<(), OpenError> {
    let failed = |error| sqlite_error(error, path);
    check_ours(connection, path)?;
    let known = migrations.last().map_or(0, |last| last.version);
    for (version, checksum) in applied(connection).map_err(failed)? {
        let Some(migration) = migrations.iter().find(|m| m.version == version) else {
            return Err(OpenError::NewerSchema { path: path.to_owned(), found: version, known });
        };
        if checksum != checksum_of(migration) {
            return Err(OpenError::AlteredMigration { path: path.to_owned(), version });
        }
    }
    for migration in migrations {
        apply(connection, migration).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn sqlite_error(error: rusqlite::Error, path: &Path) -> OpenError {
    let path = path.to_owned();
    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
        OpenError::Foreign { path }
    } else if is_disk_full(&error, &path) {
        OpenError::DiskFull { path }
    } else {
        OpenError::Unavailable { path, source: cause(error) }
    }
}

/// Refuses what another program wrote, before anything is changed.
pub(super) fn check_ours(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let one = |sql| connection.query_row(sql, (), |row| row.get::<_, i32>(0));
    let application = one("PRAGMA application_id").map_err(|e| sqlite_error(e, path))?;
    let tables = one("SELECT count(*) FROM sqlite_schema").map_err(|e| sqlite_error(e, path))?;
    if application == APPLICATION || (application == 0 && tables == 0) {
        return Ok(());
    }
    Err(OpenError::Foreign { path: path.to_owned() })
}

/// Version and checksum, newest first, so that the newest is what a refusal names.
fn applied(connection: &Connection) -> rusqlite::Result<Vec<(u32, Vec<u8>)>> {
    if !connection.table_exists(None, "schema_migration")? {
        return Ok(Vec::new());
    }
    let sql = "SELECT version, checksum FROM schema_migration ORDER BY version DESC";
    connection.prepare(sql)?.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn apply(connection: &mut Connection, migration: &Migration) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_migration \
         (version INTEGER NOT NULL PRIMARY KEY, checksum BLOB NOT NULL) STRICT",
    )?;
    let sql =
        "INSERT INTO schema_migration (version, checksum) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    if transaction.execute(sql, (migration.version, checksum_of(migration)))? == 0 {
        return Ok(());
    }
    transaction.execute_batch(migration.sql)?;
    transaction.commit()
}

fn checksum_of(migration: &Migration) -> Vec<u8> {
    digest(&SHA256, migration.sql.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration =
        Migration { version: 1, sql: "PRAGMA application_id = 0x44535054; CREATE TABLE a (x);" };
    const TWO: Migration =
        Migration { version: 2, sql: "CREATE TABLE b (x); INSERT INTO a VALUES (1);" };

    fn run(connection: &mut Connection, migrations: &[Migration]) -> Result<(), OpenError> {
        migrate(connection, Path::new("/data/test.db"), migrations)
    }

    fn tables(connection: &Connection) -> String {
        let sql = "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name)";
        connection.query_row(sql, (), |row| row.get(0)).unwrap()
    }

    fn memory() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn migrations_are_applied_once_and_in_order() {
        let mut db = memory();
        for _ in 0..2 {
            run(&mut db, &[ONE]).unwrap();
            assert_eq!(tables(&db), "a schema_migration");
        }
        for _ in 0..2 {
            run(&mut db, &[ONE, TWO]).unwrap();
            assert_eq!(tables(&db), "a b schema_migration");
        }
        let rows: i32 = db.query_row("SELECT count(*) FROM a", (), |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_migration_that_fails_half_way_leaves_nothing_and_can_be_repeated() {
        let mut db = memory();
        let half =
            Migration { version: 2, sql: "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1);" };
        assert!(matches!(run(&mut db, &[ONE, half]), Err(OpenError::Unavailable { .. })));
        assert_eq!(tables(&db), "a schema_migration");
        run(&mut db, &[ONE, TWO]).unwrap();
        assert_eq!(tables(&db), "a b schema_migration");
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let mut db = memory();
        run(&mut db, &[ONE, TWO]).unwrap();
        match run(&mut db, &[ONE]) {
            Err(OpenError::NewerSchema { found: 2, known: 1, .. }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(tables(&db), "a b schema_migration");
    }

    #[test]
    fn a_migration_that_was_altered_after_its_release_is_noticed() {
        let mut db = memory();
        run(&mut db, &[ONE]).unwrap();
        let altered = Migration { sql: "CREATE TABLE other (x);", ..ONE };
        match run(&mut db, &[altered, TWO]) {
            Err(OpenError::AlteredMigration { version: 1, .. }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(tables(&db), "a schema_migration");
    }

    #[test]
    fn a_database_of_another_program_is_left_alone() {
        let check = |sql: &str| {
            let mut db = memory();
            db.execute_batch(sql).unwrap();
            let before = tables(&db);
            assert!(matches!(run(&mut db, &[ONE]), Err(OpenError::Foreign { .. })), "{sql}");
            assert_eq!(tables(&db), before);
        };
        check("CREATE TABLE theirs (x)");
        check("PRAGMA application_id = 7; CREATE TABLE theirs (x)");
    }

    #[test]
    fn versions_count_up_from_one() {
        let versions: Vec<u32> = MIGRATIONS.iter().map(|m| m.version).collect();
        assert_eq!(versions, (1..=MIGRATIONS.len() as u32).collect::<Vec<_>>());
    }
}
