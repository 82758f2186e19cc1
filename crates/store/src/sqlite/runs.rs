//! Run records.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use uuid::Uuid;

use super::{
    columns::{Params, column, counter, damaged, scoped, time, time_or_null, uuid},
    group::ApplyError,
};
use crate::{
    CommitError, ReadError, RunFilter, RunPage, RunRecord, RunState, UnfinishedRun, scope::Only,
};

const TABLE: &str = "run";
const COLUMNS: &str = "id, organization, function, state, created, finished, body";

pub(crate) fn run(
    connection: &Connection,
    only: Only,
    id: Uuid,
) -> Result<Option<RunRecord>, ReadError> {
    let sql = format!("SELECT {COLUMNS} FROM run WHERE id = :id {{scope}}");
    Ok(scoped(connection, only, &sql, &[(":id", id.as_bytes())], decode)?.pop())
}

pub(crate) fn runs(
    connection: &Connection,
    only: Only,
    filter: &RunFilter,
) -> Result<RunPage, ReadError> {
    let limit = filter.rows() + 1;
    let before = filter.after.unwrap_or(Uuid::max());
    let function = filter.function.map(Uuid::into_bytes);
    let since = filter.since.map(|at| at.as_microsecond());
    let mut sql = "SELECT {columns} FROM run WHERE id < :before".to_owned();
    let mut params: Vec<(&str, &dyn rusqlite::ToSql)> =
        vec![(":before", before.as_bytes()), (":limit", &limit)];
    if let Some(function) = &function {
        sql.push_str(" AND function = :function");
        params.push((":function", function));
    }
    if let Some(since) = &since {
        sql.push_str(" AND created >= :since");
        params.push((":since", since));
    }
    sql.push_str(" {scope} ORDER BY id DESC LIMIT :limit");
    // Their sizes first, which are in the rows' heads: what is not returned is not read.
    let sizes = sql.replace("{columns}", "octet_length(body) AS bytes");
    let sizes = scoped(connection, only, &sizes, &params, |row| counter(row, TABLE, "bytes"))?;
    let fit = fitting(&sizes, filter);
    params.retain(|(name, _)| *name != ":limit");
    let limit = i64::try_from(fit).unwrap_or(i64::MAX);
    params.push((":limit", &limit));
    let runs = scoped(connection, only, &sql.replace("{columns}", COLUMNS), &params, decode)?;
    Ok(RunPage { runs, more: fit < sizes.len() })
}

/// How many runs whose bodies have these sizes are returned.
fn fitting(sizes: &[u64], filter: &RunFilter) -> usize {
    let max = u64::try_from(filter.bytes).unwrap_or(u64::MAX);
    let rows = usize::try_from(filter.rows()).unwrap_or(usize::MAX);
    let mut sum: u64 = 0;
    let fits = sizes.iter().take(rows).take_while(|bytes| {
        sum = sum.saturating_add(**bytes);
        sum <= max
    });
    fits.count().max(sizes.len().min(1))
}

pub(crate) fn unfinished(connection: &Connection) -> Result<Vec<UnfinishedRun>, ReadError> {
    let sql = "SELECT id, organization, function, state, length(CAST(body AS BLOB)) AS bytes FROM run \
               WHERE state <> 'done' {scope} ORDER BY id";
    let params: Params<'_> = &[];
    scoped(connection, None, sql, params, |row| {
        Ok(UnfinishedRun {
            id: uuid(row, TABLE, "id")?,
            organization: uuid(row, TABLE, "organization")?.into(),
            function: uuid(row, TABLE, "function")?,
            state: state(row)?,
            bytes: counter(row, TABLE, "bytes")?,
        })
    })
}

fn state(row: &Row<'_>) -> Result<RunState, ReadError> {
    let state: String = column(row, TABLE, "state")?;
    RunState::parse(&state).ok_or_else(|| damaged(TABLE, "state", "it is unknown"))
}

fn decode(row: &Row<'_>) -> Result<RunRecord, ReadError> {
    Ok(RunRecord {
        id: uuid(row, TABLE, "id")?,
        organization: uuid(row, TABLE, "organization")?.into(),
        function: uuid(row, TABLE, "function")?,
        state: state(row)?,
        created: time(row, TABLE, "created")?,
        finished: time_or_null(row, TABLE, "finished")?,
        body: column(row, TABLE, "body")?,
    })
}

pub(super) fn insert(connection: &Connection, run: &RunRecord) -> Result<(), ApplyError> {
    if write(connection, run, "DO NOTHING")? == 1 {
        return Ok(());
    }
    Err(conflict(connection, run.id)?)
}

pub(super) fn record(connection: &Connection, run: &RunRecord) -> Result<(), ApplyError> {
    let replace = "(id) DO UPDATE SET state = excluded.state, finished = excluded.finished, \
                   body = excluded.body WHERE organization = excluded.organization";
    write(connection, run, replace)?;
    Ok(())
}

pub(super) fn update(
    connection: &Connection,
    run: &RunRecord,
    expect: RunState,
) -> Result<(), ApplyError> {
    let mut update = connection.prepare_cached(
        "UPDATE run SET state = :state, finished = :finished, body = :body \
         WHERE id = :id AND organization = :organization AND state = :expect",
    )?;
    let updated = update.execute(named_params! {
        ":state": run.state.as_str(),
        ":finished": run.finished.map(|at| at.as_microsecond()),
        ":body": run.body,
        ":id": run.id.as_bytes(),
        ":organization": run.organization.uuid().as_bytes(),
        ":expect": expect.as_str(),
    })?;
    if updated == 1 {
        return Ok(());
    }
    Err(conflict(connection, run.id)?)
}

/// Up to `limit` runs that are done and older than `before`, or not among the newest `keep` of their function.
pub(crate) fn surplus(
    connection: &Connection,
    before: Timestamp,
    keep: u32,
    limit: usize,
) -> Result<Vec<Uuid>, ReadError> {
    let sql = "SELECT id FROM (SELECT id, organization, state, created, row_number() OVER \
               (PARTITION BY function ORDER BY id DESC) AS place FROM run) \
               WHERE state = 'done' AND (created < :before OR place > :keep) {scope} LIMIT :limit";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params: Params<'_> =
        &[(":before", &before.as_microsecond()), (":keep", &keep), (":limit", &limit)];
    scoped(connection, None, sql, params, |row| uuid(row, TABLE, "id"))
}

/// Returns how many of them were there and done.
pub(super) fn delete_done(connection: &Connection, ids: &[Uuid]) -> Result<usize, ApplyError> {
    let sql = "DELETE FROM run WHERE id = ?1 AND state = 'done'";
    let mut delete = connection.prepare_cached(sql)?;
    let mut deleted = 0;
    for id in ids {
        deleted += delete.execute((id.as_bytes(),))?;
    }
    Ok(deleted)
}

fn write(connection: &Connection, run: &RunRecord, conflict: &str) -> rusqlite::Result<usize> {
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO run (id, organization, function, state, created, finished, body) VALUES \
         (:id, :organization, :function, :state, :created, :finished, :body) ON CONFLICT {conflict}"
    ))?;
    insert.execute(named_params! {
        ":id": run.id.as_bytes(),
        ":organization": run.organization.uuid().as_bytes(),
        ":function": run.function.as_bytes(),
        ":state": run.state.as_str(),
        ":created": run.created.as_microsecond(),
        ":finished": run.finished.map(|at| at.as_microsecond()),
        ":body": run.body,
    })
}

fn conflict(connection: &Connection, id: Uuid) -> rusqlite::Result<ApplyError> {
    let mut select = connection.prepare_cached("SELECT state FROM run WHERE id = ?1")?;
    let state: Option<String> = select.query_row((id.as_bytes(),), |row| row.get(0)).optional()?;
    let found = state.as_deref().and_then(RunState::parse);
    Ok(CommitError::RunConflict { id, found }.into())
}
