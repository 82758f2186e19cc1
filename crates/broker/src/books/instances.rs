//! The instances in the books.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Books, BooksError, State, state, word};

/// An instance as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) service_id: String,
    pub(crate) plan_id: String,
    /// Of the request's attributes but plan and parameters: equal requests have equal ones.
    pub(crate) digest: String,
    pub(crate) state: State,
    /// As JSON, in a form that is equal for equal parameters.
    pub(crate) parameters: String,
    /// The port of an instance that has a server of its own. No two instances have the same.
    pub(crate) port: Option<u16>,
    /// Why it could not be made, when nothing but this entry is left of it.
    pub(crate) failure: Option<String>,
}

/// The columns in the order in which they are read.
const INSTANCES: &str =
    "SELECT id, service_id, plan_id, digest, state, parameters, port, failure FROM instances";

impl Books {
    /// The instance, if there is anything of it.
    pub(crate) async fn instance(&self, id: &str) -> Result<Option<Instance>, BooksError> {
        let id = id.to_owned();
        self.with(move |connection| {
            let query = format!("{INSTANCES} WHERE id = ?1");
            connection.query_row(&query, [&id], instance).optional()
        })
        .await
    }

    /// All instances of a plan.
    pub(crate) async fn instances(&self, plan_id: &str) -> Result<Vec<Instance>, BooksError> {
        let plan_id = plan_id.to_owned();
        self.with(move |connection| {
            let query = format!("{INSTANCES} WHERE plan_id = ?1 ORDER BY id");
            connection.prepare_cached(&query)?.query_map([&plan_id], instance)?.collect()
        })
        .await
    }

    /// The ports that instances have.
    pub(crate) async fn ports(&self) -> Result<BTreeSet<u16>, BooksError> {
        self.with(move |connection| {
            let query = "SELECT port FROM instances WHERE port IS NOT NULL";
            connection.prepare_cached(query)?.query_map([], |row| row.get(0))?.collect()
        })
        .await
    }

    /// Writes an instance, new or changed.
    pub(crate) async fn put_instance(&self, row: Instance) -> Result<(), BooksError> {
        self.with(move |connection| {
            connection.execute(
                "INSERT INTO instances \
                 (id, service_id, plan_id, digest, state, parameters, port, failure) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET \
                 plan_id = ?3, state = ?5, parameters = ?6, port = ?7, failure = ?8",
                params![
                    row.id,
                    row.service_id,
                    row.plan_id,
                    row.digest,
                    word(row.state),
                    row.parameters,
                    row.port,
                    row.failure
                ],
            )
        })
        .await
        .map(drop)
    }

    /// Writes how making an instance has ended, unless somebody has asked for its removal in the
    /// meantime; whether it was written.
    pub(crate) async fn made(&self, row: Instance) -> Result<bool, BooksError> {
        self.with(move |connection| {
            let changed = connection.execute(
                "UPDATE instances SET state = ?2, port = ?3, failure = ?4 \
                 WHERE id = ?1 AND state = 'creating'",
                params![row.id, word(row.state), row.port, row.failure],
            )?;
            Ok(changed > 0)
        })
        .await
    }

    /// Forgets an instance and its bindings.
    pub(crate) async fn remove_instance(&self, id: &str) -> Result<(), BooksError> {
        let id = id.to_owned();
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM bindings WHERE instance_id = ?1", [&id])?;
            transaction.execute("DELETE FROM instances WHERE id = ?1", [&id])?;
            transaction.commit()
        })
        .await
    }
}

fn instance(row: &Row<'_>) -> rusqlite::Result<Instance> {
    Ok(Instance {
        id: row.get(0)?,
        service_id: row.get(1)?,
        plan_id: row.get(2)?,
        digest: row.get(3)?,
        state: state(row, 4)?,
        parameters: row.get(5)?,
        port: row.get(6)?,
        failure: row.get(7)?,
    })
}
