//! Removes an instance: its logins, its sessions, its database, its roles, whatever there is of
//! them.

use super::error::PgError;
use super::names::InstanceNames;
use super::objects::{self, Database, Of};
use super::session::Session;
use super::sql;

/// Removes what is there. `logins` are those of the books; what PostgreSQL knows is added.
pub(super) async fn deprovision(
    session: &Session,
    names: &InstanceNames,
    mut logins: Vec<String>,
) -> Result<(), PgError> {
    for login in members(session, names).await? {
        if !logins.contains(&login) {
            logins.push(login);
        }
    }
    for login in &logins {
        objects::forbid_login(session, login).await?;
        objects::end_sessions(session, Of::Role(login)).await?;
    }
    drop_database(session, names).await?;
    for role in logins.iter().chain([&names.owner]) {
        if objects::role_exists(session, role).await? {
            let statement = format!("DROP ROLE IF EXISTS {}", sql::name(role));
            session.run("drop a role", &statement).await?;
        }
    }
    Ok(())
}

/// The login roles that are members of the owner role.
async fn members(session: &Session, names: &InstanceNames) -> Result<Vec<String>, PgError> {
    const STEP: &str = "list the logins";
    let query = "SELECT DISTINCT m.rolname::text FROM pg_auth_members a \
         JOIN pg_roles o ON o.oid = a.roleid JOIN pg_roles m ON m.oid = a.member \
         WHERE o.rolname = $1 AND starts_with(m.rolname::text, $2) ORDER BY 1";
    let rows = session.rows(STEP, query, &[&names.owner, &names.login_prefix]).await?;
    rows.iter().map(|row| row.try_get(0).map_err(|_| PgError::Answer { step: STEP })).collect()
}

async fn drop_database(session: &Session, names: &InstanceNames) -> Result<(), PgError> {
    let database = sql::name(&names.database);
    match objects::database(session, &names.database).await? {
        Database::Absent => return Ok(()),
        Database::Broken => {}
        Database::Present { accepts_connections } => {
            if accepts_connections {
                objects::roll_back_prepared(session, &names.database, None).await?;
                let statement = format!("ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false");
                session.run("close the database", &statement).await?;
            }
            objects::end_sessions(session, Of::Database(&names.database)).await?;
        }
    }
    let statement = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
    session.run("drop the database", &statement).await
}
