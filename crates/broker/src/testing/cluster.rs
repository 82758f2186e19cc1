//! A private PostgreSQL on a free loopback port, with TLS and SCRAM, in a directory of its own.
//!
//! It ends with the test: by [`PostgresCluster::stop`], when it is dropped, and also when the test
//! process is killed. What it keeps is worthless, so it syncs nothing.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::process::Postmaster;
use crate::account::{self, Account};
use crate::certificates::{Authority, CertificateError};
use crate::postgresql::PgError;
use crate::postgresql::testing::{self, Session};

const ADMIN: &str = "dispatch_admin";
const START: Duration = Duration::from_secs(90);
/// A port that was free may be taken before PostgreSQL takes it.
const ATTEMPTS: usize = 5;

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Files, users, programs.
    #[error("a PostgreSQL cluster could not be set up: {what}")]
    Setup { what: &'static str, source: io::Error },
    /// Certificates.
    #[error("no certificates could be made")]
    Certificates(#[from] CertificateError),
    /// initdb.
    #[error("initdb failed: {output}")]
    Initdb { output: String },
    /// Another of its programs.
    #[error("{program} failed: {output}")]
    Command { program: &'static str, output: String },
    /// It does not answer.
    #[error("PostgreSQL did not start: {reason}; its log ends with: {log}")]
    Start { reason: String, log: String },
}

pub(super) fn setup(what: &'static str) -> impl FnOnce(io::Error) -> ClusterError {
    move |source| ClusterError::Setup { what, source }
}

/// What a cluster should be like. [`PostgresCluster::start`] takes the defaults.
#[derive(Debug, Clone, Default)]
pub struct ClusterBuilder {
    settings: Vec<(String, String)>,
    rules: Vec<String>,
}

impl ClusterBuilder {
    /// A setting of postgresql.conf, `log_statement` for example.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A line of pg_hba.conf, before the usual one (TLS and SCRAM for everybody from loopback).
    pub fn rule(mut self, line: &str) -> Self {
        self.rules.push(line.to_owned());
        self
    }

    /// Makes and starts it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub async fn start(self) -> Result<PostgresCluster, ClusterError> {
        let account = Account::find().map_err(setup("no user to run it as"))?;
        let programs = account::programs().map_err(setup("no programs"))?;
        let directory = directory().map_err(setup("no directory"))?;
        account.give(directory.path()).map_err(setup("its directory"))?;
        let password = random_text().map_err(setup("no random bytes"))?;
        let ca_pem = self.write_files(account, directory.path(), &password)?;
        initdb(account, &programs, directory.path())?;
        self.write_rules(account, directory.path()).map_err(setup("pg_hba.conf"))?;
        let mut cluster = PostgresCluster {
            postmaster: None,
            account,
            programs,
            settings: self.settings,
            port: 0,
            password,
            ca_pem,
            directory,
        };
        cluster.start_on_free_port().await?;
        Ok(cluster)
    }

    fn write_files(
        &self,
        account: Account,
        directory: &Path,
        password: &str,
    ) -> Result<String, ClusterError> {
        let authority = Authority::new("PostgreSQL of a test")?;
        let server = authority.sign(&["localhost", "127.0.0.1", "::1"].map(str::to_owned))?;
        for (name, text, mode) in [
            ("ca.pem", authority.pem.as_str(), 0o644),
            ("server.pem", &server.certificate, 0o644),
            ("server.key", &server.key, 0o600),
            ("password", password, 0o600),
        ] {
            let path = directory.join(name);
            fs::write(&path, text)
                .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
                .and_then(|()| account.give(&path))
                .map_err(setup("its files"))?;
        }
        Ok(authority.pem)
    }

    fn write_rules(&self, account: Account, directory: &Path) -> io::Result<()> {
        let path = directory.join("data/pg_hba.conf");
        let mut text = self.rules.join("\n");
        text.push_str("\nhostssl all all 127.0.0.1/32 scram-sha-256\n");
        fs::write(&path, text)?;
        account.give(&path)
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct PostgresCluster {
    /// Before the directory, so that it ends before its files do.
    postmaster: Option<Postmaster>,
    account: Account,
    programs: PathBuf,
    settings: Vec<(String, String)>,
    port: u16,
    password: String,
    ca_pem: String,
    directory: TempDir,
}

impl PostgresCluster {
    /// One with the usual settings.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub async fn start() -> Result<Self, ClusterError> {
        Self::builder().start().await
    }

    /// One with settings of one's own.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// The superuser's URL, with `sslmode=verify-full`.
    pub fn admin_url(&self) -> String {
        self.url(ADMIN, &self.password, "postgres")
    }

    /// The URL of a role (whose name and password need no escaping) for a database.
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        let port = self.port;
        format!("postgresql://{user}:{password}@127.0.0.1:{port}/{database}?sslmode=verify-full")
    }

    /// The certificate of the authority that signed the server's.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The same in a file.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The postmaster's process id, 0 while it is paused.
    pub fn pid(&self) -> u32 {
        self.postmaster.as_ref().map_or(0, |postmaster| postmaster.pid)
    }

    /// What PostgreSQL has logged.
    pub fn log(&self) -> String {
        fs::read(self.directory.path().join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// A session as the superuser.
    ///
    /// # Errors
    /// What tokio-postgres says.
    pub async fn admin(
        &self,
        database: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        self.connect(ADMIN, &self.password, database).await
    }

    /// A session as a role, over TLS with everything verified.
    ///
    /// # Errors
    /// What tokio-postgres says.
    pub async fn connect(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        connect(self.port, &self.ca_pem, user, password, database).await
    }

    /// Stops PostgreSQL; data and port are kept.
    ///
    /// # Errors
    /// When its supervisor does not take the order.
    pub fn pause(&mut self) -> Result<(), ClusterError> {
        match self.postmaster.take() {
            Some(postmaster) => postmaster.pause().map_err(setup("it could not be stopped")),
            None => Ok(()),
        }
    }

    /// Starts it again after [`PostgresCluster::pause`], on the same port.
    ///
    /// # Errors
    /// When it does not start; the port may have been taken.
    pub async fn resume(&mut self) -> Result<(), ClusterError> {
        if self.postmaster.is_none() {
            self.postmaster = Some(self.start_postmaster()?);
        }
        self.answers().await
    }

    /// Ends it and removes its files, as dropping does.
    pub fn stop(self) {
        drop(self);
    }

    async fn start_on_free_port(&mut self) -> Result<(), ClusterError> {
        let mut last = Ok(());
        for _ in 0..ATTEMPTS {
            self.port = free_port().map_err(setup("no free port"))?;
            self.postmaster = Some(self.start_postmaster()?);
            last = self.answers().await;
            match last {
                Err(ClusterError::Start { ref log, .. }) if log.contains("could not bind") => {
                    self.pause()?;
                }
                _ => return last,
            }
        }
        last
    }

    fn start_postmaster(&self) -> Result<Postmaster, ClusterError> {
        let directory = self.directory.path();
        // The log of this start only, so that an earlier failure is not read again.
        let _ = fs::rename(directory.join("log"), directory.join("log.before"));
        let file = |name: &str| directory.join(name).display().to_string();
        let mut command = vec![
            self.programs.join("postgres").display().to_string(),
            "-D".to_owned(),
            file("data"),
        ];
        let own = [
            ("port", self.port.to_string()),
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("unix_socket_directories", String::new()),
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", file("server.pem")),
            ("ssl_key_file", file("server.key")),
            ("password_encryption", "scram-sha-256".to_owned()),
            ("fsync", "off".to_owned()),
            ("synchronous_commit", "off".to_owned()),
            ("full_page_writes", "off".to_owned()),
            ("shared_buffers", "16MB".to_owned()),
            ("max_connections", "100".to_owned()),
            ("logging_collector", "off".to_owned()),
        ];
        let given = self.settings.iter().map(|(name, value)| (name.as_str(), value.clone()));
        for (name, value) in own.into_iter().chain(given) {
            command.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        Postmaster::start(self.account, directory, &command).map_err(setup("the postmaster"))
    }

    /// Waits until it lets the administrator in.
    async fn answers(&self) -> Result<(), ClusterError> {
        let deadline = Instant::now() + START;
        let target = Arc::new(testing::target(&self.admin_url(), &self.ca_pem));
        loop {
            let reason: PgError = match Session::open(&target, "postgres").await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let log = self.log();
            if log.contains("FATAL:  could not") || Instant::now() >= deadline {
                let from = log.floor_char_boundary(log.len().saturating_sub(2_000));
                let log = log.get(from..).unwrap_or_default().to_owned();
                return Err(ClusterError::Start { reason: reason.to_string(), log });
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A session on a server on this machine, over TLS with everything verified.
///
/// # Errors
/// What tokio-postgres says.
pub async fn connect(
    port: u16,
    ca_pem: &str,
    user: &str,
    password: &str,
    database: &str,
) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let tls = testing::verify_full(ca_pem);
    let (client, connection) = tokio_postgres::Config::new()
        .host("127.0.0.1")
        .port(port)
        .user(user)
        .password(password)
        .dbname(database)
        .ssl_mode(tokio_postgres::config::SslMode::Require)
        .connect_timeout(Duration::from_secs(10))
        .connect(tls)
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

fn initdb(account: Account, programs: &Path, directory: &Path) -> Result<(), ClusterError> {
    let output = account
        .command(programs.join("initdb"), directory)
        .args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256"])
        .args(["--username", ADMIN, "--pwfile", "password", "--pgdata", "data"])
        .output()
        .map_err(setup("initdb"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(ClusterError::Initdb { output: text.into_owned() })
        }
    }
}

/// A temporary directory that every user may enter, PostgreSQL's above all.
///
/// # Errors
/// When it cannot be made.
pub fn directory() -> io::Result<TempDir> {
    let directory =
        tempfile::Builder::new().prefix("dispatch-postgresql-").tempdir_in(common_directory())?;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
    Ok(directory)
}

/// A directory in which another user can reach what is given to them.
fn common_directory() -> PathBuf {
    let open_to_all = |path: &PathBuf| {
        path.ancestors().all(|part| {
            fs::metadata(part).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
        })
    };
    [env::temp_dir(), PathBuf::from("/tmp")]
        .into_iter()
        .find(open_to_all)
        .unwrap_or_else(|| PathBuf::from("/var/tmp"))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn random_text() -> io::Result<String> {
    let mut bytes = [0_u8; 24];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
