//! Objects, and what they hold on to.

use dispatch_model::{
    Id, Kind, Meta, Name, Noun, Object,
    object::{UnreadableForm, from_stored},
};
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use uuid::Uuid;

use super::{
    columns::{Params, column, counter, damaged, scoped, time, time_or_null, uuid},
    group::ApplyError,
};
use crate::{
    BlobDigest, Change, CommitError, Page, ReadError, Stored, What,
    batch::{Holds, ObjectOp, ObjectRow},
    scope::Only,
};

const TABLE: &str = "object";
const SELECT: &str = "SELECT id, organization, name, generation, status_revision, created, \
                      modified, deleting, tags, spec, status FROM object";
/// `CROSS JOIN` is SQLite's way to say in which order to look: otherwise it reads all objects of the kind, because
/// they come in the right order.
const SELECT_REFERRING: &str = "SELECT id, organization, name, generation, status_revision, created, \
                                modified, deleting, tags, spec, status FROM object_ref \
                                CROSS JOIN object ON object.id = object_ref.object";

pub(crate) fn by_name<K: Noun>(
    connection: &Connection,
    only: Only,
    name: &Name,
) -> Result<Option<Stored<K>>, ReadError> {
    let sql = format!("{SELECT} WHERE kind = :kind AND name = :name {{scope}} LIMIT 2");
    let params: Params<'_> = &[(":kind", &K::KIND.as_str()), (":name", &name.as_str())];
    let mut found = scoped(connection, only, &sql, params, decode)?;
    match found.len() {
        2.. => Err(ReadError::Ambiguous { kind: K::KIND, name: name.clone() }),
        _ => Ok(found.pop()),
    }
}

pub(crate) fn by_id<K: Noun>(
    connection: &Connection,
    only: Only,
    id: Uuid,
) -> Result<Option<Stored<K>>, ReadError> {
    let sql = format!("{SELECT} WHERE id = :id AND kind = :kind {{scope}}");
    let params: Params<'_> = &[(":id", id.as_bytes()), (":kind", &K::KIND.as_str())];
    Ok(scoped(connection, only, &sql, params, decode)?.pop())
}

pub(crate) fn list<K: Noun>(
    connection: &Connection,
    only: Only,
) -> Result<Vec<Stored<K>>, ReadError> {
    let sql = format!("{SELECT} WHERE kind = :kind {{scope}} ORDER BY name, organization");
    scoped(connection, only, &sql, &[(":kind", &K::KIND.as_str())], decode)
}

pub(crate) fn ids<K: Noun>(connection: &Connection, only: Only) -> Result<Vec<Id<K>>, ReadError> {
    let sql = "SELECT id FROM object WHERE kind = :kind {scope}";
    let params: Params<'_> = &[(":kind", &K::KIND.as_str())];
    scoped(connection, only, sql, params, |row| Ok(Id::from_uuid(uuid(row, TABLE, "id")?)))
}

pub(crate) fn names<K: Noun>(connection: &Connection, only: Only) -> Result<Vec<Name>, ReadError> {
    let sql = "SELECT name FROM object WHERE kind = :kind {scope}";
    let params: Params<'_> = &[(":kind", &K::KIND.as_str())];
    scoped(connection, only, sql, params, |row| {
        let name: String = column(row, TABLE, "name")?;
        name.parse().map_err(|_| damaged(TABLE, "name", "it is no name"))
    })
}

pub(crate) fn page<K: Noun>(
    connection: &Connection,
    only: Only,
    page: &Page,
) -> Result<Vec<Stored<K>>, ReadError> {
    let sql = format!(
        "{SELECT} WHERE kind = :kind AND name > :after {{scope}} ORDER BY name LIMIT :limit"
    );
    let after = page.after.as_ref().map_or("", Name::as_str);
    let params: Params<'_> =
        &[(":kind", &K::KIND.as_str()), (":after", &after), (":limit", &page.rows())];
    scoped(connection, only, &sql, params, decode)
}

pub(crate) fn referring<K: Noun>(
    connection: &Connection,
    only: Only,
    to: Uuid,
) -> Result<Vec<Stored<K>>, ReadError> {
    let sql = format!(
        "{SELECT_REFERRING} WHERE target = :to AND kind = :kind {{scope}} ORDER BY name, organization"
    );
    let params: Params<'_> = &[(":to", to.as_bytes()), (":kind", &K::KIND.as_str())];
    scoped(connection, only, &sql, params, decode)
}

fn decode<K: Noun>(row: &Row<'_>) -> Result<Stored<K>, ReadError> {
    let name: String = column(row, TABLE, "name")?;
    let tags: String = column(row, TABLE, "tags")?;
    let tags = serde_json::from_str(&tags);
    let mut meta: Meta<K> = Meta {
        id: uuid(row, TABLE, "id")?.into(),
        organization: uuid(row, TABLE, "organization")?.into(),
        name: name.parse().map_err(|_| damaged(TABLE, "name", "it is no name"))?,
        generation: counter(row, TABLE, "generation")?,
        status_revision: counter(row, TABLE, "status_revision")?,
        created: time(row, TABLE, "created")?,
        modified: time(row, TABLE, "modified")?,
        deleting: time_or_null(row, TABLE, "deleting")?,
        tags: Default::default(),
    };
    match tags {
        Ok(tags) => meta.tags = tags,
        Err(error) => {
            let why = UnreadableForm::Damaged { why: error.to_string() };
            return Ok(Stored::Unreadable { meta, why });
        }
    }
    let spec = from_stored::<K, K::Spec>(&column::<String>(row, TABLE, "spec")?);
    let status = from_stored::<K, K::Status>(&column::<String>(row, TABLE, "status")?);
    Ok(match (spec, status) {
        (Ok(spec), Ok(status)) => Stored::Readable(Object { meta, spec, status }),
        (Err(why), _) | (_, Err(why)) => Stored::Unreadable { meta, why },
    })
}

/// Applies one write of an object, or checks a precondition; the change's number is set by the caller.
pub(super) fn apply(connection: &Connection, op: &ObjectOp) -> Result<Option<Change>, ApplyError> {
    let (row, what) = match op {
        ObjectOp::Require(row) => return require(connection, row).map(|()| None),
        ObjectOp::RequireUnreferred { kind, target } => {
            return require_unreferred(connection, *kind, *target).map(|()| None);
        }
        ObjectOp::Create(row, holds) => {
            create(connection, row)?;
            hold(connection, row.id, holds)?;
            (row, What::Created)
        }
        ObjectOp::UpdateSpec(row, holds) => {
            update_spec(connection, row)?;
            release(connection, row.id)?;
            hold(connection, row.id, holds)?;
            (row, What::Spec)
        }
        ObjectOp::UpdateStatus(row) => {
            update_status(connection, row)?;
            (row, What::Status)
        }
        ObjectOp::UpdateStatusHolding(row, blobs) => {
            update_status(connection, row)?;
            let sql = "DELETE FROM status_blob WHERE object = ?1";
            connection.prepare_cached(sql)?.execute((row.id.as_bytes(),))?;
            let sql =
                "INSERT INTO status_blob (digest, object) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            hold_blobs(connection, sql, row.id, blobs)?;
            (row, What::Status)
        }
        ObjectOp::Delete(row) => {
            delete(connection, row)?;
            (row, What::Deleted)
        }
    };
    Ok(Some(Change { seq: 0, kind: row.kind, id: row.id, organization: row.organization, what }))
}

fn require(connection: &Connection, row: &ObjectRow) -> Result<(), ApplyError> {
    let mut unchanged = connection.prepare_cached(
        "SELECT 1 FROM object WHERE id = :id AND organization = :organization AND kind = :kind \
         AND generation = :generation AND deleting IS NULL",
    )?;
    let unchanged = unchanged.exists(named_params! {
        ":id": row.id.as_bytes(),
        ":organization": row.organization.uuid().as_bytes(),
        ":kind": row.kind.as_str(),
        ":generation": row.generation.cast_signed(),
    })?;
    one_row(connection, row, usize::from(unchanged))
}

fn require_unreferred(connection: &Connection, kind: Kind, target: Uuid) -> Result<(), ApplyError> {
    let mut referring = connection.prepare_cached(
        "SELECT 1 FROM object_ref CROSS JOIN object ON object.id = object_ref.object \
         WHERE target = ?1 AND kind = ?2",
    )?;
    if referring.exists((target.as_bytes(), kind.as_str()))? {
        return Err(CommitError::Referred { kind, target }.into());
    }
    Ok(())
}

fn create(connection: &Connection, row: &ObjectRow) -> Result<(), ApplyError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO object (id, organization, kind, name, generation, status_revision, created, \
         modified, deleting, tags, spec, status) VALUES (:id, :organization, :kind, :name, \
         :generation, :status_revision, :created, :modified, :deleting, :tags, :spec, :status) \
         ON CONFLICT DO NOTHING",
    )?;
    let inserted = insert.execute(named_params! {
        ":id": row.id.as_bytes(),
        ":organization": row.organization.uuid().as_bytes(),
        ":kind": row.kind.as_str(),
        ":name": row.name.as_str(),
        ":generation": row.generation.cast_signed(),
        ":status_revision": row.status_revision.cast_signed(),
        ":created": row.created.as_microsecond(),
        ":modified": row.modified.as_microsecond(),
        ":deleting": row.deleting.map(|at| at.as_microsecond()),
        ":tags": row.tags,
        ":spec": row.spec,
        ":status": row.status,
    })?;
    if inserted == 1 {
        return Ok(());
    }
    Err(CommitError::Exists { kind: row.kind, name: row.name.clone() }.into())
}

fn update_spec(connection: &Connection, row: &ObjectRow) -> Result<(), ApplyError> {
    let mut update = connection.prepare_cached(
        "UPDATE object SET spec = :spec, tags = :tags, deleting = :deleting, \
         modified = :modified, generation = generation + 1 \
         WHERE id = :id AND organization = :organization AND kind = :kind \
         AND generation = :generation",
    )?;
    let updated = update.execute(named_params! {
        ":spec": row.spec,
        ":tags": row.tags,
        ":deleting": row.deleting.map(|at| at.as_microsecond()),
        ":modified": row.modified.as_microsecond(),
        ":id": row.id.as_bytes(),
        ":organization": row.organization.uuid().as_bytes(),
        ":kind": row.kind.as_str(),
        ":generation": row.generation.cast_signed(),
    })?;
    one_row(connection, row, updated)
}

fn update_status(connection: &Connection, row: &ObjectRow) -> Result<(), ApplyError> {
    let mut update = connection.prepare_cached(
        "UPDATE object SET status = :status, status_revision = status_revision + 1 \
         WHERE id = :id AND organization = :organization AND kind = :kind \
         AND status_revision = :status_revision",
    )?;
    let updated = update.execute(named_params! {
        ":status": row.status,
        ":id": row.id.as_bytes(),
        ":organization": row.organization.uuid().as_bytes(),
        ":kind": row.kind.as_str(),
        ":status_revision": row.status_revision.cast_signed(),
    })?;
    one_row(connection, row, updated)
}

fn delete(connection: &Connection, row: &ObjectRow) -> Result<(), ApplyError> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM object WHERE id = :id AND organization = :organization AND kind = :kind \
         AND generation = :generation AND status_revision = :status_revision",
    )?;
    let deleted = delete.execute(named_params! {
        ":id": row.id.as_bytes(),
        ":organization": row.organization.uuid().as_bytes(),
        ":kind": row.kind.as_str(),
        ":generation": row.generation.cast_signed(),
        ":status_revision": row.status_revision.cast_signed(),
    })?;
    one_row(connection, row, deleted)
}

/// Nothing was written: because it is newer than was thought, or because it is not there?
fn one_row(connection: &Connection, row: &ObjectRow, written: usize) -> Result<(), ApplyError> {
    if written == 1 {
        return Ok(());
    }
    let mut there = connection.prepare_cached(
        "SELECT 1 FROM object WHERE id = :id AND organization = :organization AND kind = :kind",
    )?;
    let there = there.exists(named_params! {
        ":id": row.id.as_bytes(),
        ":organization": row.organization.uuid().as_bytes(),
        ":kind": row.kind.as_str(),
    })?;
    let (kind, id): (Kind, Uuid) = (row.kind, row.id);
    let refused =
        if there { CommitError::Stale { kind, id } } else { CommitError::Gone { kind, id } };
    Err(refused.into())
}

fn hold(connection: &Connection, object: Uuid, holds: &Holds) -> Result<(), ApplyError> {
    let sql = "INSERT INTO object_ref (target, object) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let mut insert = connection.prepare_cached(sql)?;
    for target in &holds.refs {
        insert.execute((target.as_bytes(), object.as_bytes()))?;
    }
    let sql = "INSERT INTO object_blob (digest, object) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    hold_blobs(connection, sql, object, &holds.blobs)
}

fn hold_blobs(
    connection: &Connection,
    sql: &str,
    object: Uuid,
    blobs: &[BlobDigest],
) -> Result<(), ApplyError> {
    let mut known = connection.prepare_cached("SELECT 1 FROM blob WHERE digest = ?1")?;
    let mut insert = connection.prepare_cached(sql)?;
    for digest in blobs {
        let bytes = digest.as_bytes();
        if known.query_row((bytes,), |_| Ok(())).optional()?.is_none() {
            return Err(CommitError::BlobMissing { digest: *digest }.into());
        }
        insert.execute((bytes, object.as_bytes()))?;
    }
    Ok(())
}

fn release(connection: &Connection, object: Uuid) -> Result<(), ApplyError> {
    let id = object.as_bytes();
    connection.prepare_cached("DELETE FROM object_ref WHERE object = ?1")?.execute((id,))?;
    connection.prepare_cached("DELETE FROM object_blob WHERE object = ?1")?.execute((id,))?;
    Ok(())
}
