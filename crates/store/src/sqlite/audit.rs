//! The audit log.

use dispatch_model::Kind;
use rusqlite::{Connection, Row, named_params};
use uuid::Uuid;

use super::{
    columns::{column, counter, damaged, scoped, time, uuid},
    group::ApplyError,
};
use crate::{AuditEntry, AuditFilter, AuditRow, ReadError};

const TABLE: &str = "audit";

pub(crate) fn audit(
    connection: &Connection,
    filter: &AuditFilter,
) -> Result<Vec<AuditEntry>, ReadError> {
    let limit = filter.rows();
    let before = filter.after.map_or(i64::MAX, u64::cast_signed);
    let request = filter.request_id.map(Uuid::into_bytes);
    let since = filter.since.map(|at| at.as_microsecond());
    let mut sql = "SELECT position, at, actor, organization, action, kind, name, id, source, \
                   request_id, details FROM audit WHERE position < :before"
        .to_owned();
    let mut params: Vec<(&str, &dyn rusqlite::ToSql)> =
        vec![(":before", &before), (":limit", &limit)];
    if let Some(request) = &request {
        sql.push_str(" AND request_id = :request");
        params.push((":request", request));
    }
    if let Some(since) = &since {
        sql.push_str(" AND at >= :since");
        params.push((":since", since));
    }
    sql.push_str(" {scope} ORDER BY position DESC LIMIT :limit");
    scoped(connection, filter.organization.map(|id| id.uuid()), &sql, &params, decode)
}

fn decode(row: &Row<'_>) -> Result<AuditEntry, ReadError> {
    let organization: Option<[u8; 16]> = column(row, TABLE, "organization")?;
    let id: Option<[u8; 16]> = column(row, TABLE, "id")?;
    let kind: Option<String> = column(row, TABLE, "kind")?;
    let source: Option<String> = column(row, TABLE, "source")?;
    let details: String = column(row, TABLE, "details")?;
    Ok(AuditEntry {
        position: counter(row, TABLE, "position")?,
        row: AuditRow {
            at: time(row, TABLE, "at")?,
            actor: column(row, TABLE, "actor")?,
            organization: organization.map(|id| Uuid::from_bytes(id).into()),
            action: column(row, TABLE, "action")?,
            // A kind that only a newer version knows is left out rather than hide the row.
            kind: kind.as_deref().and_then(Kind::parse),
            name: column(row, TABLE, "name")?,
            id: id.map(Uuid::from_bytes),
            source: source.and_then(|address| address.parse().ok()),
            request_id: uuid(row, TABLE, "request_id")?,
            details: serde_json::from_str(&details)
                .map_err(|_| damaged(TABLE, "details", "it is not JSON"))?,
        },
    })
}

pub(super) fn insert(connection: &Connection, row: &AuditRow) -> Result<(), ApplyError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO audit (at, actor, organization, action, kind, name, id, source, request_id, \
         details) VALUES (:at, :actor, :organization, :action, :kind, :name, :id, :source, \
         :request_id, :details)",
    )?;
    insert.execute(named_params! {
        ":at": row.at.as_microsecond(),
        ":actor": row.actor,
        ":organization": row.organization.map(|id| id.uuid().into_bytes()),
        ":action": row.action,
        ":kind": row.kind.map(Kind::as_str),
        ":name": row.name,
        ":id": row.id.map(Uuid::into_bytes),
        ":source": row.source.map(|address| address.to_string()),
        ":request_id": row.request_id.as_bytes(),
        ":details": row.details.to_string(),
    })?;
    Ok(())
}
