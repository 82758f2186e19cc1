//! What the broker has promised: its instances and bindings, in SQLite.
//!
//! An intent is written, and synced, before the first effect, and removed after the last one. So
//! whatever a crash leaves in the service itself has a row here, and a repeated DELETE finds it.
//! No password is here: they are derived.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE instances (
        id TEXT PRIMARY KEY,
        service_id TEXT NOT NULL,
        plan_id TEXT NOT NULL,
        digest TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('creating', 'ready', 'deleting'))
    ) STRICT;
    CREATE TABLE bindings (
        instance_id TEXT NOT NULL REFERENCES instances (id),
        id TEXT NOT NULL,
        digest TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('creating', 'ready', 'deleting')),
        PRIMARY KEY (instance_id, id)
    ) STRICT;
    PRAGMA user_version = 1;
";

/// How far an instance or a binding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Being made, or half made by an attempt that failed.
    Creating,
    Ready,
    /// Being removed, or half removed.
    Deleting,
}

/// An instance as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) service_id: String,
    pub(crate) plan_id: String,
    /// Of the request's attributes: equal requests have equal ones.
    pub(crate) digest: String,
    pub(crate) state: State,
}

/// A binding as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) id: String,
    pub(crate) digest: String,
    pub(crate) state: State,
}

/// Why the books cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// SQLite.
    #[error("the books in {} cannot be used", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    /// Written by a newer version of this broker.
    #[error("the books in {} have the format {found}; this version knows {SCHEMA_VERSION}", path.display())]
    Newer { path: PathBuf, found: i64 },
    /// The thread that was writing panicked.
    #[error("the books could not be written")]
    Interrupted,
}

/// The books. Clones share one connection.
#[derive(Clone)]
pub(crate) struct Books {
    connection: Arc<Mutex<Connection>>,
    path: Arc<PathBuf>,
}

impl Books {
    /// Opens the books, or begins them. The caller holds the lock of the directory.
    pub(crate) fn open(path: &Path) -> Result<Self, BooksError> {
        let failed = |source| BooksError::Sqlite { path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(failed)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                 PRAGMA busy_timeout = 5000;",
            )
            .map_err(failed)?;
        let found: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        if found > SCHEMA_VERSION {
            return Err(BooksError::Newer { path: path.to_owned(), found });
        }
        if found == 0 {
            let transaction = connection.transaction().map_err(failed)?;
            transaction.execute_batch(SCHEMA).map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { connection, path: Arc::new(path.to_owned()) })
    }

    /// The instance, if there is anything of it.
    pub(crate) async fn instance(&self, id: &str) -> Result<Option<Instance>, BooksError> {
        let id = id.to_owned();
        self.with(move |connection| {
            let query =
                "SELECT id, service_id, plan_id, digest, state FROM instances WHERE id = ?1";
            connection.query_row(query, [&id], instance).optional()
        })
        .await
    }

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

    /// Writes an instance, new or with a new state.
    pub(crate) async fn put_instance(&self, row: Instance) -> Result<(), BooksError> {
        self.with(move |connection| {
            connection.execute(
                "INSERT INTO instances (id, service_id, plan_id, digest, state) \
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET state = excluded.state",
                params![row.id, row.service_id, row.plan_id, row.digest, word(row.state)],
            )
        })
        .await
        .map(drop)
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

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BooksError> {
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(|_| BooksError::Interrupted)?
        .map_err(|source| BooksError::Sqlite { path: self.path.as_ref().clone(), source })
    }
}

fn instance(row: &Row<'_>) -> rusqlite::Result<Instance> {
    Ok(Instance {
        id: row.get(0)?,
        service_id: row.get(1)?,
        plan_id: row.get(2)?,
        digest: row.get(3)?,
        state: state(row, 4)?,
    })
}

fn binding(row: &Row<'_>) -> rusqlite::Result<Binding> {
    Ok(Binding { id: row.get(0)?, digest: row.get(1)?, state: state(row, 2)? })
}

fn word(state: State) -> &'static str {
    match state {
        State::Creating => "creating",
        State::Ready => "ready",
        State::Deleting => "deleting",
    }
}

fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<State> {
    match row.get_ref(column)?.as_str()? {
        "creating" => Ok(State::Creating),
        "ready" => Ok(State::Ready),
        "deleting" => Ok(State::Deleting),
        other => {
            let error = format!("the unknown state {other:?}");
            let kind = rusqlite::types::Type::Text;
            Err(rusqlite::Error::FromSqlConversionFailure(column, kind, error.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State) -> Instance {
        Instance {
            id: "i".to_owned(),
            service_id: "s".to_owned(),
            plan_id: "p".to_owned(),
            digest: "d".to_owned(),
            state,
        }
    }

    fn binding(state: State) -> Binding {
        Binding { id: "b".to_owned(), digest: "d".to_owned(), state }
    }

    #[tokio::test]
    async fn what_was_written_is_there_after_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("books.db");
        let books = Books::open(&path).expect("begun");
        assert_eq!(books.instance("i").await.expect("read"), None);
        books.put_instance(row(State::Creating)).await.expect("written");
        books.put_instance(row(State::Ready)).await.expect("written");
        books.put_binding("i", binding(State::Deleting)).await.expect("written");
        drop(books);
        let books = Books::open(&path).expect("opened");
        assert_eq!(books.instance("i").await.expect("read"), Some(row(State::Ready)));
        assert_eq!(books.binding("i", "b").await.expect("read"), Some(binding(State::Deleting)));
        assert_eq!(books.bindings("i").await.expect("read"), [binding(State::Deleting)]);
        books.remove_binding("i", "b").await.expect("removed");
        assert_eq!(books.binding("i", "b").await.expect("read"), None);
        books.put_binding("i", binding(State::Ready)).await.expect("written");
        books.remove_instance("i").await.expect("removed");
        assert_eq!(books.instance("i").await.expect("read"), None);
        assert_eq!(books.bindings("i").await.expect("read"), []);
    }

    #[tokio::test]
    async fn a_binding_without_its_instance_is_not_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let books = Books::open(&directory.path().join("books.db")).expect("begun");
        assert!(books.put_binding("none", binding(State::Creating)).await.is_err());
    }

    #[test]
    fn the_books_of_a_newer_version_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("books.db");
        drop(Books::open(&path).expect("begun"));
        let connection = Connection::open(&path).expect("opened");
        connection.execute_batch("PRAGMA user_version = 2").expect("set");
        drop(connection);
        assert!(matches!(Books::open(&path), Err(BooksError::Newer { found: 2, .. })));
    }
}
