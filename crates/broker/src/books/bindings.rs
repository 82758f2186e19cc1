//! The bindings in the books.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Books, BooksError, State, state, word};

/// A binding as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) id: String,
    pub(crate) digest: String,
    pub(crate) state: State,
}

impl Books {
    /// The binding, if there is anything of it.
    pub(crate) async fn binding(
        &self,
        instance_id: &str,
        id: &str,
    ) -> Result<Option<Binding>, BooksError> {
        let (instance_id, id) = (instance_id.to_owned(), id.to_owned());
        self.with(move |connection| {
            let query = "SELECT id, digest, state FROM bindings WHERE instance_id = ?1 AND id = ?2";
            connection.query_row(query, [&instance_id, &id], binding).optional()
        })
        .await
    }

    /// All bindings of an instance.
    pub(crate) async fn bindings(&self, instance_id: &str) -> Result<Vec<Binding>, BooksError> {
        let instance_id = instance_id.to_owned();
        self.with(move |connection| {
            let query = "SELECT id, digest, state FROM bindings WHERE instance_id = ?1 ORDER BY id";
            connection.prepare_cached(query)?.query_map([&instance_id], binding)?.collect()
        })
        .await
    }

    /// Writes a binding, new or with a new state.
    pub(crate) async fn put_binding(
        &self,
        instance_id: &str,
        row: Binding,
    ) -> Result<(), BooksError> {
        let instance_id = instance_id.to_owned();
        self.with(move |connection| {
            connection.execute(
                "INSERT INTO bindings (instance_id, id, digest, state) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (instance_id, id) DO UPDATE SET state = excluded.state",
                params![instance_id, row.id, row.digest, word(row.state)],
            )
        })
        .await
        .map(drop)
    }

    /// Forgets a binding.
    pub(crate) async fn remove_binding(
        &self,
        instance_id: &str,
        id: &str,
    ) -> Result<(), BooksError> {
        let (instance_id, id) = (instance_id.to_owned(), id.to_owned());
        self.with(move |connection| {
            let statement = "DELETE FROM bindings WHERE instance_id = ?1 AND id = ?2";
            connection.execute(statement, [&instance_id, &id])
        })
        .await
        .map(drop)
    }
}

fn binding(row: &Row<'_>) -> rusqlite::Result<Binding> {
    Ok(Binding { id: row.get(0)?, digest: row.get(1)?, state: state(row, 2)? })
}
