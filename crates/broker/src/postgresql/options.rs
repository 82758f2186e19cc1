//! What the broker has to be told: where PostgreSQL is, who may call, how functions reach it.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dispatch_osb::broker::Authentication;
use zeroize::Zeroizing;

use super::admin_url::{Address, AdminUrl, AdminUrlError, TlsMode};
use super::credentials::Reach;
use super::dedicated::{DedicatedOptions, ManagedOptions};
use super::session::{Steps, Target, Timeouts};

/// The variable of the environment from which a command should read the administrator's URL.
pub const ADMIN_URL_VARIABLE: &str = "DISPATCH_BROKER_POSTGRESQL_URL";

/// The longest file that is read for one secret, in bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Settings of the broker. Start with [`Options::new`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Books, key and lock. Made with mode 0700 if it does not exist.
    pub data_directory: PathBuf,
    /// As whom, and where, PostgreSQL is administered.
    pub admin_url: AdminUrlSource,
    /// The certificate (PEM) of the authority that signed PostgreSQL's. It also goes to functions,
    /// as `caCertificate`. Overrides the URL's `sslrootcert`.
    pub ca_file: Option<PathBuf>,
    /// The same, by value. Overrides the file.
    pub ca_pem: Option<String>,
    /// Who may call the broker.
    pub authentication: AuthenticationSource,
    /// The host that functions connect to, if it is not the URL's.
    pub host: Option<String>,
    /// The port that functions connect to, if it is not the URL's.
    pub port: Option<u16>,
    /// What `sslRequired` says; without it, whether the URL's `sslmode` is `require` or stricter.
    pub ssl_required: Option<bool>,
    /// How many administrative connections may be open at a time (each may open one more, to an
    /// instance's database).
    pub connections: usize,
    /// Servers of one's own, if they are to be offered.
    pub dedicated: Option<DedicatedOptions>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How long to wait at start for a PostgreSQL that does not answer yet.
    pub start: Duration,
    /// How long requests may go on after the broker was told to stop.
    pub stop: Duration,
    /// Where a test has the process die. Nothing by default.
    #[doc(hidden)]
    pub steps: Steps,
}

/// Where the administrator's URL comes from: never from the command line, which everybody can read.
#[derive(Clone)]
pub enum AdminUrlSource {
    /// A file that holds nothing else.
    File(PathBuf),
    /// The URL, as the caller found it in the environment.
    Value(Zeroizing<String>),
    /// There is none: the broker makes the shared server itself, and keeps it running.
    Managed(ManagedOptions),
}

/// Who may call the broker.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthenticationSource {
    /// Anybody who can reach it.
    None,
    /// Who has this token.
    Bearer(Zeroizing<String>),
    /// Who has the token in this file.
    BearerFile(PathBuf),
    /// Who has the user name and the password in this file.
    Basic { username: String, password_file: PathBuf },
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A file.
    #[error("{what} cannot be read from {}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    /// A file without anything in it.
    #[error("{what} in {} is empty", path.display())]
    Empty { what: &'static str, path: PathBuf },
    /// The URL.
    #[error(transparent)]
    AdminUrl(#[from] AdminUrlError),
    /// The administrator comes through a socket, which functions cannot.
    #[error("the administrator's URL names a Unix socket: say which host functions connect to")]
    NoHost,
    /// The broker runs the shared server.
    #[error("a server that the broker makes has no administrator's URL")]
    NoUrl,
    /// Zero connections.
    #[error("at least one administrative connection is needed")]
    NoConnections,
}

impl fmt::Debug for AdminUrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Value(_) => f.write_str("Value(<redacted>)"),
            Self::Managed(settings) => write!(f, "{settings:?}"),
        }
    }
}

impl fmt::Debug for AuthenticationSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bearer(_) => f.write_str("Bearer(<redacted>)"),
            Self::BearerFile(path) => write!(f, "BearerFile({})", path.display()),
            Self::Basic { username, password_file } => {
                write!(f, "Basic({username}, {})", password_file.display())
            }
        }
    }
}

impl Options {
    /// The usual settings: no authentication, four connections, functions connect where the
    /// administrator does.
    pub fn new(data_directory: impl Into<PathBuf>, admin_url: AdminUrlSource) -> Self {
        Self {
            data_directory: data_directory.into(),
            admin_url,
            ca_file: None,
            ca_pem: None,
            authentication: AuthenticationSource::None,
            host: None,
            port: None,
            ssl_required: None,
            connections: 4,
            dedicated: None,
            timeouts: Timeouts::default(),
            start: Duration::from_secs(10),
            stop: Duration::from_secs(30),
            steps: Steps::default(),
        }
    }

    /// What is needed to connect, and what functions are told about it.
    pub(super) fn resolve(&self) -> Result<(Target, Reach), OptionsError> {
        if self.connections == 0 {
            return Err(OptionsError::NoConnections);
        }
        let text = match &self.admin_url {
            AdminUrlSource::Value(text) => text.clone(),
            AdminUrlSource::File(path) => secret("the administrator's URL", path)?,
            AdminUrlSource::Managed(_) => return Err(OptionsError::NoUrl),
        };
        let url = AdminUrl::parse(&text)?;
        let ca_file = self.ca_file.as_deref().or(url.ca_file());
        let read_ca = |path| Ok::<_, OptionsError>(read("the CA certificate", path)?.to_string());
        let ca_pem = match &self.ca_pem {
            Some(pem) => Some(pem.clone()),
            None => ca_file.map(read_ca).transpose()?,
        };
        let (host, port) = match (&url.address, &self.host) {
            (Address::Tcp { port, .. } | Address::Unix { port, .. }, Some(host)) => {
                (host.clone(), *port)
            }
            (Address::Tcp { host, port }, None) => (host.clone(), *port),
            (Address::Unix { .. }, None) => return Err(OptionsError::NoHost),
        };
        let strict = matches!(url.mode, TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull);
        let target = Target {
            address: url.address.to_string(),
            database: url.database.clone(),
            config: url.config(&url.database, self.timeouts.connect, ca_pem.is_some()),
            tls: url.tls(ca_pem.as_deref())?,
            timeouts: self.timeouts,
            steps: self.steps.clone(),
        };
        let reach = Reach {
            host,
            port: self.port.unwrap_or(port),
            tls: self.ssl_required.unwrap_or(strict),
            ca_pem,
        };
        Ok((target, reach))
    }

    /// What the toolkit asks of callers.
    pub(super) fn authentication(&self) -> Result<Authentication, OptionsError> {
        Ok(match &self.authentication {
            AuthenticationSource::None => Authentication::None,
            AuthenticationSource::Bearer(token) => {
                Authentication::Bearer { token: token.to_string() }
            }
            AuthenticationSource::BearerFile(path) => {
                Authentication::Bearer { token: secret("the token", path)?.to_string() }
            }
            AuthenticationSource::Basic { username, password_file } => Authentication::Basic {
                username: username.clone(),
                password: secret("the password", password_file)?.to_string(),
            },
        })
    }
}

/// A file's text without the line feed at its end.
fn secret(what: &'static str, path: &Path) -> Result<Zeroizing<String>, OptionsError> {
    let text = read(what, path)?;
    let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode());
    if mode & 0o077 != 0 {
        let path = path.display();
        tracing::warn!(%path, "others than the owner may read the file with {what}; chmod 600 it");
    }
    match text.trim() {
        "" => Err(OptionsError::Empty { what, path: path.to_owned() }),
        text => Ok(Zeroizing::new(text.to_owned())),
    }
}

fn read(what: &'static str, path: &Path) -> Result<Zeroizing<String>, OptionsError> {
    let failed = |source| OptionsError::File { what, path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > MAX_SECRET_BYTES {
        let text = format!("it has {length} bytes, more than {MAX_SECRET_BYTES}");
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, text)));
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Options {
        Options::new("/nowhere", AdminUrlSource::Value(Zeroizing::new(url.to_owned())))
    }

    fn check(options: &Options, expect: Result<(&str, u16, bool), &str>) {
        match (options.resolve(), expect) {
            (Ok((_, reach)), Ok((host, port, tls))) => {
                assert_eq!((&*reach.host, reach.port, reach.tls), (host, port, tls));
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (Ok(_), Err(part)) => panic!("accepted, expected {part}"),
            (Err(error), Ok(_)) => panic!("refused: {error}"),
        }
    }

    #[test]
    fn functions_connect_where_the_administrator_does_unless_told_otherwise() {
        let mut given = options("postgresql://a:b@db:6000/x?sslmode=require");
        check(&given, Ok(("db", 6000, true)));
        given.host = Some("outside".to_owned());
        given.port = Some(7000);
        given.ssl_required = Some(false);
        check(&given, Ok(("outside", 7000, false)));
        check(&options("postgresql://a:b@db/x"), Ok(("db", 5432, false)));
        let mut socket = options("postgresql://a@/x?host=/run");
        check(&socket, Err("which host functions"));
        socket.host = Some("db".to_owned());
        check(&socket, Ok(("db", 5432, false)));
        socket.connections = 0;
        check(&socket, Err("at least one"));
    }

    #[test]
    fn secrets_come_from_files_and_an_empty_one_admits_nobody() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secret");
        let mut given = options("postgresql://a@h");
        given.authentication = AuthenticationSource::BearerFile(path.clone());
        assert!(matches!(given.authentication(), Err(OptionsError::File { .. })));
        fs::write(&path, " \n").expect("written");
        assert!(matches!(given.authentication(), Err(OptionsError::Empty { .. })));
        fs::write(&path, "hush\n").expect("written");
        let expected = Authentication::Bearer { token: "hush".to_owned() };
        assert_eq!(given.authentication().expect("read"), expected);
        fs::write(&path, "x".repeat(64 * 1024 + 1)).expect("written");
        assert!(matches!(given.authentication(), Err(OptionsError::File { .. })));
        fs::write(&path, "x".repeat(64 * 1024)).expect("written");
        assert!(given.authentication().is_ok());
        given.authentication = AuthenticationSource::None;
        given.admin_url = AdminUrlSource::File(path.clone());
        fs::write(&path, "postgresql://a:hush@h\n").expect("written");
        check(&given, Ok(("h", 5432, false)));
        assert!(!format!("{given:?}").contains("hush"));
    }
}
