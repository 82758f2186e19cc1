//! What the broker has promised: its instances and bindings, in SQLite.
//!
//! An intent is written, and synced, before the first effect, and removed after the last one. So
//! whatever a crash leaves in the service itself has a row here, and a repeated DELETE finds it.
//! No password is here: they are derived.

mod bindings;
mod instances;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Row};

pub(crate) use bindings::Binding;
pub(crate) use instances::Instance;

const SCHEMA_VERSION: i64 = 2;
/// What each version adds to the one before it.
const MIGRATIONS: [&str; SCHEMA_VERSION as usize] = [
    "CREATE TABLE instances (
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
    ) STRICT;",
    // A digest of version 1 held the plan as well: a provision request that is repeated for such an
    // instance is answered 409.
    "ALTER TABLE instances ADD COLUMN parameters TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE instances ADD COLUMN port INTEGER;
    ALTER TABLE instances ADD COLUMN failure TEXT;
    CREATE UNIQUE INDEX instances_port ON instances (port);",
];

/// How far an instance or a binding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Being made, or half made by an attempt that failed.
    Creating,
    Ready,
    /// Being removed, or half removed.
    Deleting,
}

/// Why the books cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// SQLite.
    #[error("the books in {} cannot be used", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    /// The file cannot be made or opened.
    #[error("the books in {} cannot be opened", path.display())]
    File { path: PathBuf, source: std::io::Error },
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
        // SQLite gives its other files the mode of this one.
        let mode = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        mode.map_err(|source| BooksError::File { path: path.to_owned(), source })?;
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
        let transaction = connection.transaction().map_err(failed)?;
        let known = usize::try_from(found).unwrap_or_default();
        for migration in MIGRATIONS.iter().skip(known) {
            transaction.execute_batch(migration).map_err(failed)?;
        }
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { connection, path: Arc::new(path.to_owned()) })
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
            parameters: "{}".to_owned(),
            port: None,
            failure: None,
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

    #[tokio::test]
    async fn what_version_1_wrote_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("books.db");
        let connection = Connection::open(&path).expect("opened");
        connection.execute_batch(MIGRATIONS[0]).expect("made");
        connection
            .execute_batch(
                "PRAGMA user_version = 1; INSERT INTO instances VALUES ('i', 's', 'p', 'd', 'ready')",
            )
            .expect("written");
        drop(connection);
        let books = Books::open(&path).expect("opened");
        assert_eq!(books.instance("i").await.expect("read"), Some(row(State::Ready)));
    }

    #[tokio::test]
    async fn a_port_is_given_once_and_the_end_of_making_gives_way_to_a_removal() {
        let directory = tempfile::tempdir().expect("a directory");
        let books = Books::open(&directory.path().join("books.db")).expect("begun");
        let making = Instance { port: Some(5000), ..row(State::Creating) };
        books.put_instance(making.clone()).await.expect("written");
        let other = Instance { id: "j".to_owned(), ..making.clone() };
        assert!(books.put_instance(other).await.is_err(), "the port is taken");
        assert_eq!(books.ports().await.expect("read"), [5000].into());
        let made = Instance { state: State::Ready, ..making.clone() };
        books.put_instance(Instance { state: State::Deleting, ..making }).await.expect("written");
        assert!(!books.made(made).await.expect("asked"), "it is being removed");
        let found = books.instances("p").await.expect("read");
        assert_eq!(found.iter().map(|row| row.state).collect::<Vec<_>>(), [State::Deleting]);
    }

    #[test]
    fn the_books_of_a_newer_version_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("books.db");
        drop(Books::open(&path).expect("begun"));
        let connection = Connection::open(&path).expect("opened");
        connection.execute_batch("PRAGMA user_version = 3").expect("set");
        drop(connection);
        assert!(matches!(Books::open(&path), Err(BooksError::Newer { found: 3, .. })));
    }
}
