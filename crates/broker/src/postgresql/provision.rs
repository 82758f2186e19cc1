//! Makes the database of an instance on a server.
//!
//! The database belongs to the administrator and what is in it to the instance's owner role: so no
//! login can lift the connection limit, let others in, or mark the database as a template, which
//! would keep it from being dropped.

use std::collections::BTreeSet;

use super::error::PgError;
use super::extensions;
use super::names::InstanceNames;
use super::objects::{self, Database};
use super::session::Session;
use super::sql;

/// Whether something in PostgreSQL has the names of an instance. Asked before the intent to make it
/// is recorded: what is there then is not ours.
pub(super) async fn is_taken(session: &Session, names: &InstanceNames) -> Result<bool, PgError> {
    Ok(objects::database(session, &names.database).await? != Database::Absent
        || objects::role_exists(session, &names.owner).await?)
}

/// Makes what is missing. Repeated after a crash at any point, it ends in the same state.
pub(super) async fn provision(
    session: &Session,
    names: &InstanceNames,
    connections: u16,
    wanted: &BTreeSet<String>,
    superuser: bool,
) -> Result<(), PgError> {
    let (database, owner) = (sql::name(&names.database), sql::name(&names.owner));
    if !objects::role_exists(session, &names.owner).await? {
        let statement = format!(
            "CREATE ROLE {owner} NOLOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE \
             NOREPLICATION NOBYPASSRLS"
        );
        objects::create(session, "create the owner role", &statement).await?;
    }
    if !superuser {
        let statement = format!("GRANT {owner} TO CURRENT_USER");
        session.run("become a member of the owner role", &statement).await?;
    }
    if objects::database(session, &names.database).await? == Database::Absent {
        // template0 holds nothing that somebody has put into template1; and nobody gets in before
        // the grants are made.
        let statement = format!(
            "CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' \
             ALLOW_CONNECTIONS false CONNECTION LIMIT {connections}"
        );
        objects::create(session, "create the database", &statement).await?;
    }
    for (step, statement) in [
        ("close the database", format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC")),
        (
            "open the database to its owner role",
            format!("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {database} TO {owner}"),
        ),
    ] {
        session.run(step, &statement).await?;
    }
    limit_connections(session, names, connections).await?;
    let inside = objects::inside(session, &names.database).await?;
    for (step, statement) in [
        ("give the schema public away", format!("ALTER SCHEMA public OWNER TO {owner}")),
        ("close the schema public", "REVOKE ALL ON SCHEMA public FROM PUBLIC".to_owned()),
    ] {
        inside.run(step, &statement).await?;
    }
    extensions::create(&inside, names, wanted).await
}

/// Lets so many connections into the database at a time.
pub(super) async fn limit_connections(
    session: &Session,
    names: &InstanceNames,
    connections: u16,
) -> Result<(), PgError> {
    let statement = format!(
        "ALTER DATABASE {} WITH ALLOW_CONNECTIONS true CONNECTION LIMIT {connections}",
        sql::name(&names.database)
    );
    session.run("limit the database's connections", &statement).await
}
