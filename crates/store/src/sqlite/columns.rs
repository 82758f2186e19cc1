//! How values lie in columns, how a read is narrowed to an organization, and what SQLite's errors mean.

use std::{io, path::Path, sync::Arc};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, Row, ToSql};
use uuid::Uuid;

use crate::{Cause, CommitError, ReadError, scope::Only};

/// Named parameters.
pub(super) type Params<'a> = &'a [(&'a str, &'a dyn ToSql)];

/// Runs a query that has the mark `{scope}` after its last condition. Every query of rows that belong to an
/// organization goes through here; one without the mark fails as soon as it is asked in an organization's scope.
pub(super) fn scoped<T>(
    connection: &Connection,
    only: Only,
    sql: &str,
    params: Params<'_>,
    decode: impl Fn(&Row<'_>) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let condition = if only.is_some() { "AND organization = :organization" } else { "" };
    let organization = only.map(Uuid::into_bytes);
    let mut params = params.to_vec();
    if let Some(organization) = &organization {
        params.push((":organization", organization));
    }
    let mut statement =
        connection.prepare_cached(&sql.replace("{scope}", condition)).map_err(read_error)?;
    let mut rows = statement.query(&params[..]).map_err(read_error)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(read_error)? {
        found.push(decode(row)?);
    }
    Ok(found)
}

/// The column `name` of a row of `table`.
pub(super) fn column<T: rusqlite::types::FromSql>(
    row: &Row<'_>,
    table: &'static str,
    name: &str,
) -> Result<T, ReadError> {
    row.get(name).map_err(|error| match error {
        rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..) => {
            damaged(table, name, "it has another type")
        }
        other => read_error(other),
    })
}

pub(super) fn uuid(row: &Row<'_>, table: &'static str, name: &str) -> Result<Uuid, ReadError> {
    column(row, table, name).map(Uuid::from_bytes)
}

pub(super) fn time(row: &Row<'_>, table: &'static str, name: &str) -> Result<Timestamp, ReadError> {
    Timestamp::from_microsecond(column(row, table, name)?)
        .map_err(|_| damaged(table, name, "it is no time"))
}

pub(super) fn time_or_null(
    row: &Row<'_>,
    table: &'static str,
    name: &str,
) -> Result<Option<Timestamp>, ReadError> {
    let micros: Option<i64> = column(row, table, name)?;
    let time = micros.map(Timestamp::from_microsecond).transpose();
    time.map_err(|_| damaged(table, name, "it is no time"))
}

pub(super) fn counter(row: &Row<'_>, table: &'static str, name: &str) -> Result<u64, ReadError> {
    column(row, table, name).map(i64::cast_unsigned)
}

pub(super) fn damaged(table: &str, column: &str, why: &str) -> ReadError {
    ReadError::Damaged { what: format!("{column} in table {table}"), why: why.to_owned() }
}

pub(super) fn read_error(error: rusqlite::Error) -> ReadError {
    ReadError::Unavailable(cause(error))
}

pub(super) fn commit_error(error: rusqlite::Error, path: &Path) -> CommitError {
    if is_disk_full(&error, path) {
        CommitError::DiskFull { what: path.to_owned() }
    } else {
        CommitError::Unavailable(cause(error))
    }
}

pub(super) fn cause(error: rusqlite::Error) -> Cause {
    Arc::new(error)
}

pub(super) fn other_cause(text: &str) -> Cause {
    Arc::new(io::Error::other(text.to_owned()))
}

/// SQLite says that the disk is full only when a write says so. Growing its shared memory file, for
/// example, is a plain I/O error, and then the file system is asked.
pub(super) fn is_disk_full(error: &rusqlite::Error, path: &Path) -> bool {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => true,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
            let directory = path.parent().unwrap_or(path);
            rustix::fs::statvfs(directory)
                .is_ok_and(|fs| fs.f_bavail == 0 || fs.f_favail == 0 && fs.f_files > 0)
        }
        _ => false,
    }
}
