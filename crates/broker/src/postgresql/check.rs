//! Is this PostgreSQL fit to be shared by strangers? Asked at start and on demand, answered with
//! everything that is wrong, in words that say what to do.
//!
//! What a superuser can put right without harm to others is put right: CONNECT is revoked from
//! PUBLIC on the databases that every server has.

use super::error::PgError;
use super::session::Session;
use super::sql;

/// The oldest PostgreSQL that has all that is used here (`pg_terminate_backend` that waits).
const OLDEST: i32 = 140_000;

/// Key of the advisory lock of this check; those of instances are hashes.
const LOCK: i64 = 0x6469_7370_6174_6368;

/// What a fit server is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// As PostgreSQL writes it, `15.6` for example.
    pub version: String,
    /// Whether the administrator is a superuser, or has CREATEROLE and CREATEDB only.
    pub superuser: bool,
    /// What does not keep the broker from working, but should be known.
    pub warnings: Vec<String>,
}

/// One reason why a server is not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The version.
    #[error("it is version {version}, and 14 is the oldest that will do")]
    Version { version: String },
    /// The administrator's attributes.
    #[error(
        "its role {role:?} is neither a superuser nor has both CREATEROLE and CREATEDB; \
         ALTER ROLE \"{role}\" CREATEROLE CREATEDB"
    )]
    Administrator { role: String },
    /// A password that a user sets would be stored as MD5.
    #[error("its password_encryption is {found:?}; set it to scram-sha-256")]
    PasswordEncryption { found: String },
    /// A standby.
    #[error("it is a standby, which is read-only; name the primary")]
    Standby,
    /// A locale that allows no UTF-8 databases.
    #[error("its template0 has the encoding {encoding} and a locale that allows no UTF8")]
    Encoding { encoding: String },
    /// Everybody may connect to a database that is not theirs.
    #[error(
        "every role may connect to its database {database:?}, and the administrator may not \
         change that; as its owner: REVOKE CONNECT ON DATABASE \"{database}\" FROM PUBLIC"
    )]
    PublicConnect { database: String },
    /// `trust` in pg_hba.conf.
    #[error(
        "line {line} of its pg_hba.conf lets in without a password (trust); scram-sha-256 is what it \
         should say"
    )]
    Trust { line: i32 },
}

/// Why the broker does not work with a server.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It could not be asked.
    #[error(transparent)]
    Asking(#[from] PgError),
    /// It is not fit. All reasons, at least one.
    #[error("PostgreSQL at {address} cannot be used: {}", list(faults))]
    Unfit { address: String, faults: Vec<Fault> },
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

/// Examines the server, and takes CONNECT from PUBLIC where the administrator may.
pub(crate) async fn check(session: &Session) -> Result<Report, CheckError> {
    let facts = Facts::read(session).await?;
    let mut faults = facts.faults();
    let mut warnings = Vec::new();
    if faults.is_empty() {
        // PostgreSQL fails two who change the rights on one database at the same time.
        session.rows("lock the check", "SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
        close_common_databases(session, &facts, &mut faults, &mut warnings).await?;
        session.rows("unlock the check", "SELECT pg_advisory_unlock($1)", &[&LOCK]).await?;
        if facts.superuser {
            authentication_rules(session, &mut faults, &mut warnings).await?;
        } else {
            warnings.push("pg_hba.conf was not examined: only a superuser may see it".to_owned());
        }
    }
    match faults.is_empty() {
        true => Ok(Report { version: facts.version, superuser: facts.superuser, warnings }),
        false => Err(CheckError::Unfit { address: session.target.address.clone(), faults }),
    }
}

struct Facts {
    number: i32,
    version: String,
    role: String,
    superuser: bool,
    creates: bool,
    password_encryption: String,
    standby: bool,
    encoding: String,
    any_encoding: bool,
}

impl Facts {
    async fn read(session: &Session) -> Result<Self, PgError> {
        const STEP: &str = "describe itself";
        const QUERY: &str = "SELECT current_setting('server_version_num')::int4, \
             current_setting('server_version'), r.rolname::text, r.rolsuper, \
             r.rolcreaterole AND r.rolcreatedb, current_setting('password_encryption'), \
             pg_is_in_recovery(), pg_encoding_to_char(t.encoding)::text, \
             t.encoding = pg_char_to_encoding('UTF8') OR t.datcollate IN ('C', 'POSIX') \
             FROM pg_roles r, pg_database t \
             WHERE r.rolname = current_user AND t.datname = 'template0'";
        let rows = session.rows(STEP, QUERY, &[]).await?;
        let wrong = |_| PgError::Answer { step: STEP };
        let row = rows.first().ok_or(PgError::Answer { step: STEP })?;
        Ok(Self {
            number: row.try_get(0).map_err(wrong)?,
            version: row.try_get(1).map_err(wrong)?,
            role: row.try_get(2).map_err(wrong)?,
            superuser: row.try_get(3).map_err(wrong)?,
            creates: row.try_get(4).map_err(wrong)?,
            password_encryption: row.try_get(5).map_err(wrong)?,
            standby: row.try_get(6).map_err(wrong)?,
            encoding: row.try_get(7).map_err(wrong)?,
            any_encoding: row.try_get(8).map_err(wrong)?,
        })
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.number < OLDEST {
            faults.push(Fault::Version { version: self.version.clone() });
        }
        if !self.superuser && !self.creates {
            faults.push(Fault::Administrator { role: self.role.clone() });
        }
        if self.password_encryption != "scram-sha-256" {
            faults.push(Fault::PasswordEncryption { found: self.password_encryption.clone() });
        }
        if self.standby {
            faults.push(Fault::Standby);
        }
        if !self.any_encoding {
            faults.push(Fault::Encoding { encoding: self.encoding.clone() });
        }
        faults
    }
}

/// No role of ours may connect to what is not its instance's. A superuser closes `postgres`,
/// `template1` and the maintenance database; the others belong to somebody, and are named.
async fn close_common_databases(
    session: &Session,
    facts: &Facts,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<String>,
) -> Result<(), PgError> {
    let common = ["postgres", "template1", &session.target.database];
    let (ours, others): (Vec<_>, Vec<_>) = open_databases(session)
        .await?
        .into_iter()
        .partition(|database| common.contains(&database.as_str()));
    for database in ours {
        if facts.superuser {
            let statement =
                format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", sql::name(&database));
            session.run("close a common database", &statement).await?;
        } else {
            faults.push(Fault::PublicConnect { database });
        }
    }
    if !others.is_empty() {
        warnings.push(format!(
            "every role of the server, those of bindings too, may connect to {}; REVOKE CONNECT … \
             FROM PUBLIC where that is not meant",
            others.join(", ")
        ));
    }
    Ok(())
}

/// The databases that PUBLIC may connect to.
async fn open_databases(session: &Session) -> Result<Vec<String>, PgError> {
    const STEP: &str = "list the databases that everybody may connect to";
    const QUERY: &str = "SELECT d.datname::text FROM pg_database d WHERE d.datallowconn AND EXISTS \
         (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a \
          WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT') ORDER BY 1";
    let rows = session.rows(STEP, QUERY, &[]).await?;
    rows.iter().map(|row| row.try_get(0).map_err(|_| PgError::Answer { step: STEP })).collect()
}

/// `trust` over the network makes every password, ours too, worth nothing.
async fn authentication_rules(
    session: &Session,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<String>,
) -> Result<(), PgError> {
    const STEP: &str = "read pg_hba.conf";
    const QUERY: &str = "SELECT line_number, type, auth_method FROM pg_hba_file_rules \
         WHERE auth_method IN ('trust', 'password') \
         AND NOT database <@ ARRAY['replication'] ORDER BY line_number";
    let wrong = |_| PgError::Answer { step: STEP };
    for row in session.rows(STEP, QUERY, &[]).await? {
        let line: i32 = row.try_get(0).map_err(wrong)?;
        let connection: String = row.try_get(1).map_err(wrong)?;
        let method: String = row.try_get(2).map_err(wrong)?;
        match (connection.as_str(), method.as_str()) {
            ("local", "trust") => warnings.push(format!(
                "line {line} of pg_hba.conf lets every user of the server's machine in without a \
                 password (trust)"
            )),
            (_, "trust") => faults.push(Fault::Trust { line }),
            _ => warnings.push(format!(
                "line {line} of pg_hba.conf has passwords sent as they are (password); \
                 scram-sha-256 is better"
            )),
        }
    }
    Ok(())
}
