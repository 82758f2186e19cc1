//! Makes the login role of a binding.
//!
//! Its sessions act as the instance's owner role from their first statement, so what is made
//! through one binding can be used, changed and dropped through any other.

use super::error::PgError;
use super::names::InstanceNames;
use super::objects;
use super::session::Session;
use super::sql;

/// Whether a role of the binding's name exists. Asked before the intent to make it is recorded.
pub(super) async fn is_taken(session: &Session, login: &str) -> Result<bool, PgError> {
    objects::role_exists(session, login).await
}

/// Makes what is missing. `verifier` is what PostgreSQL stores instead of the password.
pub(super) async fn bind(
    session: &Session,
    names: &InstanceNames,
    login: &str,
    verifier: &str,
    connections: u16,
    superuser: bool,
) -> Result<(), PgError> {
    let (database, owner) = (sql::name(&names.database), sql::name(&names.owner));
    let role = sql::name(login);
    if !objects::role_exists(session, login).await? {
        let statement = format!(
            "CREATE ROLE {role} NOLOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE \
             NOREPLICATION NOBYPASSRLS"
        );
        objects::create(session, "create the login role", &statement).await?;
    }
    session.run("make the login a member", &format!("GRANT {owner} TO {role}")).await?;
    if !superuser {
        let statement = format!("GRANT {role} TO CURRENT_USER");
        session.run("become a member of the login role", &statement).await?;
    }
    for (step, statement) in [
        (
            "have the login act as the owner role",
            format!(
                "ALTER ROLE {role} IN DATABASE {database} SET role = {}",
                sql::text(&names.owner)
            ),
        ),
        (
            "let the login in",
            format!(
                "ALTER ROLE {role} LOGIN CONNECTION LIMIT {connections} PASSWORD {}",
                sql::text(verifier)
            ),
        ),
    ] {
        session.run(step, &statement).await?;
    }
    Ok(())
}
