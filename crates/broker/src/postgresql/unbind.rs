//! Removes the login role of a binding, and keeps what was made through it.
//!
//! The order is what matters: no new sessions, then no old ones (a session survives DROP ROLE), then
//! REASSIGN OWNED, then DROP OWNED. The other way round DROP OWNED would drop the user's tables.

use super::error::PgError;
use super::names::InstanceNames;
use super::objects::{self, Database, Of};
use super::session::Session;
use super::sql;

/// Removes what is there. Repeated after a crash at any point, it ends in the same state.
pub(super) async fn unbind(
    session: &Session,
    names: &InstanceNames,
    login: &str,
) -> Result<(), PgError> {
    let state = objects::database(session, &names.database).await?;
    if objects::forbid_login(session, login).await? {
        objects::end_sessions(session, Of::Role(login)).await?;
        if state == (Database::Present { accepts_connections: true }) {
            objects::roll_back_prepared(session, &names.database, Some(login)).await?;
            give_to_owner(session, names, login).await?;
        }
        objects::end_sessions(session, Of::Role(login)).await?;
        let statement = format!("DROP ROLE IF EXISTS {}", sql::name(login));
        session.run("drop the login role", &statement).await?;
    }
    if state == Database::Absent {
        return Ok(());
    }
    objects::end_sessions(session, Of::RolesThatWereRemoved(&names.database)).await
}

async fn give_to_owner(
    session: &Session,
    names: &InstanceNames,
    login: &str,
) -> Result<(), PgError> {
    let (role, owner) = (sql::name(login), sql::name(&names.owner));
    let inside = objects::inside(session, &names.database).await?;
    let statement = format!("REASSIGN OWNED BY {role} TO {owner}");
    inside.run("give the login's objects to the owner role", &statement).await?;
    let statement = format!("DROP OWNED BY {role}");
    inside.run("drop the login's privileges", &statement).await
}
