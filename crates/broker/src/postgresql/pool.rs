//! The broker's own administrative connections: a few, opened when needed, kept, and thrown away
//! after anything went wrong. So a restart of PostgreSQL costs one failed attempt that nobody sees.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::PgError;
use super::session::{Session, Target};

/// A bounded set of sessions in the maintenance database.
pub(crate) struct Pool {
    pub(crate) target: Arc<Target>,
    idle: Arc<Mutex<Vec<Session>>>,
    permits: Arc<Semaphore>,
    connections: usize,
}

impl Pool {
    pub(crate) fn new(target: Target, connections: usize) -> Self {
        Self {
            target: Arc::new(target),
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(connections)),
            connections,
        }
    }

    /// A session that changes one instance, alone: it holds an advisory lock in PostgreSQL.
    ///
    /// The lock is for the case that an earlier process of this broker was killed in the middle of
    /// a statement, which PostgreSQL then still carries out: what comes after has to wait for it.
    /// Within one process the callers wait for each other before they come here.
    pub(crate) async fn locked(&self, key: i64) -> Result<Lease, PgError> {
        const STEP: &str = "lock the instance";
        let mut lease = self.lease().await?;
        loop {
            let session = match lease.take_idle() {
                Some(session) => session,
                None => return self.lock_fresh(lease, key).await,
            };
            match session.rows(STEP, "SELECT pg_advisory_lock($1)", &[&key]).await {
                Ok(_) => return Ok(lease.with(session, Some(key))),
                // It broke while it lay idle: nothing has been done with it yet.
                Err(error) if error.is_lost() => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn lock_fresh(&self, lease: Lease, key: i64) -> Result<Lease, PgError> {
        let session = Session::open(&self.target, &self.target.database).await?;
        session.rows("lock the instance", "SELECT pg_advisory_lock($1)", &[&key]).await?;
        Ok(lease.with(session, Some(key)))
    }

    /// A fresh session, for a check of the server.
    pub(crate) async fn fresh(&self) -> Result<Lease, PgError> {
        let lease = self.lease().await?;
        let session = Session::open(&self.target, &self.target.database).await?;
        Ok(lease.with(session, None))
    }

    async fn lease(&self) -> Result<Lease, PgError> {
        let waited = self.target.timeouts.turn;
        let permit = timeout(waited, Arc::clone(&self.permits).acquire_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(Lease {
                session: None,
                key: None,
                idle: Arc::clone(&self.idle),
                _permit: permit,
            }),
            _ => Err(PgError::Exhausted {
                connections: self.connections,
                waited_ms: waited.as_millis(),
            }),
        }
    }
}

/// A session on loan. It goes back only by [`Lease::give_back`]; dropped, it is closed, and with it
/// goes its lock.
pub(crate) struct Lease {
    session: Option<Session>,
    key: Option<i64>,
    idle: Arc<Mutex<Vec<Session>>>,
    _permit: OwnedSemaphorePermit,
}

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("a lease is handed out with its session")
    }
}

impl Lease {
    /// Gives the lock and the session back, after everything went well.
    pub(crate) async fn give_back(mut self) {
        let Some(session) = self.session.take() else { return };
        if let Some(key) = self.key {
            let unlocked =
                session.is("unlock the instance", "SELECT pg_advisory_unlock($1)", &[&key]).await;
            if !matches!(unlocked, Ok(true)) {
                return;
            }
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    fn take_idle(&mut self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|session| !session.is_closed());
        idle.pop()
    }

    fn with(mut self, session: Session, key: Option<i64>) -> Self {
        self.session = Some(session);
        self.key = key;
        self
    }
}
