//! One administrative session: connect, run one statement, ask one question, each within its time.
//!
//! Statements run one by one and outside of transactions, because CREATE and DROP DATABASE allow no
//! other way; so every operation is a row of steps that can end after any of them. [`Steps`] lets a
//! test end it there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row};

use super::error::PgError;
use super::tls::Tls;

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands, authentication included.
    pub connect: Duration,
    /// For one statement.
    pub statement: Duration,
    /// For a lock that another session holds.
    pub lock: Duration,
    /// For the sessions of a role or a database to end, all together.
    pub sessions: Duration,
    /// For one's turn: until an earlier request for the same instance has ended, and until one of
    /// the broker's own connections is free.
    pub turn: Duration,
    /// For a whole request.
    pub operation: Duration,
}

impl Default for Timeouts {
    /// A request ends before the 60 s after which a platform gives up (OSB-013).
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(25),
            lock: Duration::from_secs(5),
            sessions: Duration::from_secs(15),
            turn: Duration::from_secs(20),
            operation: Duration::from_secs(50),
        }
    }
}

/// Everything that is needed to open a session to any database of the server.
#[derive(Clone)]
pub(crate) struct Target {
    /// For messages.
    pub(crate) address: String,
    /// The database for what belongs to none.
    pub(crate) database: String,
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    pub(crate) timeouts: Timeouts,
    pub(crate) steps: Steps,
}

/// A session as the administrator.
pub(crate) struct Session {
    client: Client,
    pub(crate) target: Arc<Target>,
}

impl Session {
    /// Connects to one of the server's databases.
    pub(crate) async fn open(target: &Arc<Target>, database: &str) -> Result<Self, PgError> {
        let unreachable = |reason: &str| PgError::Unreachable {
            address: target.address.clone(),
            reason: reason.to_owned(),
        };
        let mut config = target.config.clone();
        config.dbname(database);
        let connecting = config.connect(target.tls.clone());
        let (client, connection) = timeout(target.timeouts.connect, connecting)
            .await
            .map_err(|_| unreachable("no answer in time"))?
            .map_err(|error| PgError::connecting(&target.address, &error))?;
        // Ends with the client. Its error reaches the statement that was under way.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        let session = Self { client, target: Arc::clone(target) };
        // A tenant may have put functions and operators of his own into his database: nothing but
        // the system's are to be found. A database that is full is read-only for others, not for us.
        let settings = format!(
            "SET search_path = pg_catalog, pg_temp; SET statement_timeout = {}; \
             SET lock_timeout = {}; SET standard_conforming_strings = on; \
             SET default_transaction_read_only = off",
            target.timeouts.statement.as_millis(),
            target.timeouts.lock.as_millis(),
        );
        session.batch("set up a connection", &settings).await?;
        Ok(session)
    }

    /// Runs a statement that changes something: a step, after which a crash may come.
    pub(crate) async fn run(&self, step: &'static str, statement: &str) -> Result<(), PgError> {
        self.target.steps.pass()?;
        self.batch(step, statement).await?;
        tracing::debug!(step, "done in PostgreSQL");
        self.target.steps.pass()
    }

    /// Asks a question.
    pub(crate) async fn rows(
        &self,
        step: &'static str,
        query: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, PgError> {
        self.within(step, self.client.query(query, parameters)).await
    }

    /// Asks whether something is so: the first column of the first row.
    pub(crate) async fn is(
        &self,
        step: &'static str,
        query: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<bool, PgError> {
        let rows = self.rows(step, query, parameters).await?;
        let answer = rows.first().ok_or(PgError::Answer { step })?.try_get(0);
        answer.map_err(|_| PgError::Answer { step })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    async fn batch(&self, step: &'static str, statement: &str) -> Result<(), PgError> {
        self.within(step, self.client.batch_execute(statement)).await
    }

    /// PostgreSQL ends a statement by itself in time; a second limit is for a network that is gone.
    async fn within<T>(
        &self,
        step: &'static str,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PgError> {
        let limit = self.target.timeouts.statement;
        match timeout(limit + Duration::from_secs(2), work).await {
            Ok(result) => result.map_err(|error| PgError::statement(step, limit, &error)),
            Err(_) => Err(PgError::TimedOut { step, limit_ms: limit.as_millis() }),
        }
    }
}

/// Counts the points between steps, and ends the operation at one of them if a test says so.
#[derive(Debug, Clone, Default)]
pub struct Steps(Option<Arc<Trap>>);

#[derive(Debug)]
struct Trap {
    left: AtomicI64,
    exits: bool,
}

impl Steps {
    /// Lets `points` points pass and fails at every later one, as if the process had been killed.
    #[cfg(any(test, feature = "testing"))]
    pub fn killed_after(points: u32) -> Self {
        Self(Some(Arc::new(Trap { left: AtomicI64::new(i64::from(points)), exits: false })))
    }

    /// Lets `points` points pass and kills the process at the next one, by SIGUSR1.
    #[cfg(any(test, feature = "testing"))]
    pub fn exits_after(points: u32) -> Self {
        Self(Some(Arc::new(Trap { left: AtomicI64::new(i64::from(points)), exits: true })))
    }

    /// Whether a point has been reached that was not to be passed.
    #[cfg(any(test, feature = "testing"))]
    pub fn was_killed(&self) -> bool {
        self.0.as_ref().is_some_and(|trap| trap.left.load(Ordering::SeqCst) < 0)
    }

    pub(crate) fn pass(&self) -> Result<(), PgError> {
        match &self.0 {
            Some(trap) if trap.left.fetch_sub(1, Ordering::SeqCst) <= 0 => {
                if trap.exits {
                    // Nothing is tidied up, as by kill -9; a test can tell it from its own kill -9.
                    let _ = kill_process(getpid(), Signal::USR1);
                }
                Err(PgError::Killed)
            }
            _ => Ok(()),
        }
    }
}
