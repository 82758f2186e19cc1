//! Statements and questions that several verbs share: roles, databases, and the end of sessions.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::error::PgError;
use super::session::Session;
use super::sql;

/// Whether a role of this name exists.
pub(super) async fn role_exists(session: &Session, role: &str) -> Result<bool, PgError> {
    let query = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";
    session.is("look for a role", query, &[&role]).await
}

/// A database as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Absent,
    /// Its removal was interrupted: it can only be removed.
    Broken,
    Present {
        accepts_connections: bool,
    },
}

/// Looks for a database.
pub(super) async fn database(session: &Session, name: &str) -> Result<Database, PgError> {
    const STEP: &str = "look for a database";
    let query = "SELECT datconnlimit = -2, datallowconn FROM pg_database WHERE datname = $1";
    let rows = session.rows(STEP, query, &[&name]).await?;
    let Some(row) = rows.first() else { return Ok(Database::Absent) };
    let column = |at| row.try_get(at).map_err(|_| PgError::Answer { step: STEP });
    Ok(match column(0)? {
        true => Database::Broken,
        false => Database::Present { accepts_connections: column(1)? },
    })
}

/// Makes an object that may exist already, because an earlier attempt made it and was cut off.
pub(super) async fn create(
    session: &Session,
    step: &'static str,
    statement: &str,
) -> Result<(), PgError> {
    match session.run(step, statement).await {
        Err(error)
            if error.has_code(&SqlState::DUPLICATE_OBJECT)
                || error.has_code(&SqlState::DUPLICATE_DATABASE) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Keeps a role from logging in again, if it exists. Sessions that it has go on.
pub(super) async fn forbid_login(session: &Session, role: &str) -> Result<bool, PgError> {
    let query = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND rolcanlogin)";
    if session.is("look for a login role", query, &[&role]).await? {
        let statement = format!("ALTER ROLE {} NOLOGIN", sql::name(role));
        session.run("forbid a role to log in", &statement).await?;
        return Ok(true);
    }
    role_exists(session, role).await
}

/// Whose sessions are to end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    /// Those of a role.
    Role(&'a str),
    /// All in a database.
    Database(&'a str),
    /// Those in a database whose role has been removed under them: a session survives its role, and
    /// one that was logging in at that moment was seen by nobody.
    RolesThatWereRemoved(&'a str),
}

impl<'a> Of<'a> {
    fn query(self) -> (&'static str, &'a str) {
        match self {
            Self::Role(role) => (
                "SELECT pid FROM pg_stat_activity WHERE usesysid = \
                 (SELECT oid FROM pg_roles WHERE rolname = $1) AND pid <> pg_backend_pid()",
                role,
            ),
            Self::Database(database) => (
                "SELECT pid FROM pg_stat_activity WHERE datname = $1 \
                 AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
                database,
            ),
            Self::RolesThatWereRemoved(database) => (
                "SELECT pid FROM pg_stat_activity s WHERE datname = $1 AND usesysid IS NOT NULL \
                 AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = s.usesysid)",
                database,
            ),
        }
    }
}

/// Ends sessions until none is left, open transactions or not.
///
/// `pg_terminate_backend` waits for the end of each one; several rounds, because new ones may have
/// come in the meantime.
pub(super) async fn end_sessions(session: &Session, of: Of<'_>) -> Result<(), PgError> {
    const STEP: &str = "end sessions";
    let limit = session.target.timeouts.sessions;
    let deadline = Instant::now() + limit;
    let (query, name) = of.query();
    loop {
        let pids = session
            .rows(STEP, query, &[&name])
            .await?
            .iter()
            .map(|row| row.try_get(0).map_err(|_| PgError::Answer { step: STEP }))
            .collect::<Result<Vec<i32>, _>>()?;
        if pids.is_empty() {
            return Ok(());
        }
        session.target.steps.pass()?;
        if Instant::now() >= deadline {
            return Err(PgError::Sessions { left: pids.len(), waited_ms: limit.as_millis() });
        }
        // All are told to end before any is waited for.
        let signal = "SELECT pg_terminate_backend(pid, 0) FROM unnest($1::int4[]) AS pid";
        session.rows(STEP, signal, &[&pids]).await?;
        for pid in pids {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = left.clamp(Duration::from_millis(1), limit).as_millis();
            let wait = i64::try_from(left).unwrap_or(i64::MAX);
            let end = "SELECT pg_terminate_backend($1, $2)";
            session.rows(STEP, end, &[&pid, &wait]).await?;
        }
    }
}

/// A session inside one of our databases.
pub(super) async fn inside(session: &Session, database: &str) -> Result<Session, PgError> {
    Session::open(&Arc::clone(&session.target), database).await
}

/// Rolls back the transactions that were prepared in a database, of one role or of all. They would
/// keep the role, or the database, from being removed.
pub(super) async fn roll_back_prepared(
    session: &Session,
    database: &str,
    role: Option<&str>,
) -> Result<(), PgError> {
    const STEP: &str = "look for prepared transactions";
    let query = "SELECT gid FROM pg_prepared_xacts WHERE database = $1 \
         AND ($2::text IS NULL OR owner = $2)";
    let rows = session.rows(STEP, query, &[&database, &role]).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let inside = inside(session, database).await?;
    for row in rows {
        let gid: String = row.try_get(0).map_err(|_| PgError::Answer { step: STEP })?;
        let statement = format!("ROLLBACK PREPARED {}", sql::text(&gid));
        match inside.run("roll back a prepared transaction", &statement).await {
            Err(error) if error.has_code(&SqlState::UNDEFINED_OBJECT) => {}
            result => result?,
        }
    }
    Ok(())
}
