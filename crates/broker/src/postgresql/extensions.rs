//! Extensions that an instance can ask for: which ones, which of them a server has, and making them.

use std::collections::BTreeSet;

use super::error::PgError;
use super::names::InstanceNames;
use super::session::Session;
use super::sql;

/// What can be asked for, where the server has it: those of PostgreSQL's own extensions that it
/// calls trusted, which are the ones that who owns what is in a database may make himself.
pub(super) const KNOWN: &[&str] = &[
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dict_int",
    "fuzzystrmatch",
    "hstore",
    "intarray",
    "isn",
    "lo",
    "ltree",
    "pg_trgm",
    "pgcrypto",
    "seg",
    "tablefunc",
    "tcn",
    "tsm_system_rows",
    "tsm_system_time",
    "unaccent",
    "uuid-ossp",
];

/// Those that a server has.
pub(super) async fn available(session: &Session) -> Result<Vec<String>, PgError> {
    const STEP: &str = "list its extensions";
    let query = "SELECT DISTINCT name::text FROM pg_available_extension_versions \
         WHERE trusted AND name::text = ANY($1) ORDER BY 1";
    let rows = session.rows(STEP, query, &[&KNOWN]).await?;
    rows.iter().map(|row| row.try_get(0).map_err(|_| PgError::Answer { step: STEP })).collect()
}

/// Makes those that are missing, as the owner role's. `inside` is a session in the instance's
/// database, which acts as that role afterwards.
pub(super) async fn create(
    inside: &Session,
    names: &InstanceNames,
    extensions: &BTreeSet<String>,
) -> Result<(), PgError> {
    if extensions.is_empty() {
        return Ok(());
    }
    let statement = format!("SET ROLE {}", sql::name(&names.owner));
    inside.run("act as the owner role", &statement).await?;
    for extension in extensions {
        let statement =
            format!("CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA public", sql::name(extension));
        inside.run("create an extension", &statement).await?;
    }
    Ok(())
}
