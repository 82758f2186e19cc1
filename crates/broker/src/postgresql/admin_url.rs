//! The administrator's URL: `postgresql://USER[:PASSWORD]@HOST[:PORT][/DATABASE][?sslmode=…]`.
//!
//! One server, not a list of hosts. A Unix socket is given as `?host=/directory`. `sslmode` means
//! what it means to libpq, with one difference: `require` without a CA certificate insists on SCRAM
//! with channel binding, so that the server proves itself by the password at least.
//! Unknown parameters are refused, because a misspelt `sslmode` would be silently insecure.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{ChannelBinding, SslMode};
use url::Url;
use zeroize::Zeroizing;

use super::tls::{self, Tls, TlsError};

/// Where and as whom the broker administers PostgreSQL.
#[derive(Clone)]
pub(crate) struct AdminUrl {
    pub(crate) address: Address,
    pub(crate) user: String,
    password: Option<Zeroizing<String>>,
    /// The database that the broker connects to for what belongs to none.
    pub(crate) database: String,
    pub(crate) mode: TlsMode,
    ca_file: Option<PathBuf>,
}

/// Where PostgreSQL listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Unix { directory: PathBuf, port: u16 },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { directory, port } => write!(f, "{}/.s.PGSQL.{port}", directory.display()),
        }
    }
}

/// How far the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Why an administrator's URL cannot be used. No part of the URL that may be secret is shown.
#[derive(Debug, thiserror::Error)]
pub enum AdminUrlError {
    /// Not a URL, or of another scheme.
    #[error(
        "the administrator's URL is not of the form \
         postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full: {0}"
    )]
    Form(&'static str),
    /// A query parameter that is not known.
    #[error(
        "the administrator's URL has the unknown parameter {0:?}; known are sslmode, sslrootcert \
         and host"
    )]
    Parameter(String),
    /// `sslmode` with another value.
    #[error(
        "the administrator's URL has sslmode={0:?}; known are disable, prefer, require, verify-ca \
         and verify-full"
    )]
    SslMode(String),
    /// `verify-ca` or `verify-full` without the certificate to verify with.
    #[error("the administrator's URL says sslmode={0}, which needs a CA certificate file")]
    NoCa(&'static str),
    /// The CA certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl fmt::Debug for AdminUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminUrl")
            .field("address", &self.address)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl AdminUrl {
    /// Reads a URL. White space around it is ignored, as files end in a line feed.
    pub(crate) fn parse(text: &str) -> Result<Self, AdminUrlError> {
        let (text, names_host) = with_host(text.trim());
        let url = Url::parse(&text).map_err(|_| AdminUrlError::Form("not a URL"))?;
        if !matches!(url.scheme(), "postgresql" | "postgres") {
            return Err(AdminUrlError::Form("the scheme is another one"));
        }
        let query = Query::read(&url)?;
        let user = decode(url.username())?;
        if user.is_empty() {
            return Err(AdminUrlError::Form("it names no user"));
        }
        let port = url.port().unwrap_or(5432);
        let host = url.host_str().filter(|host| names_host && !host.is_empty());
        let address = match (host, query.socket) {
            (Some(_), Some(_)) => return Err(AdminUrlError::Form("it names two hosts")),
            (None, None) => return Err(AdminUrlError::Form("it names no host")),
            (None, Some(directory)) => Address::Unix { directory, port },
            (Some(host), None) => {
                let host = decode(host.trim_start_matches('[').trim_end_matches(']'))?;
                if host.contains([',', '/']) {
                    return Err(AdminUrlError::Form("it names several hosts or a path as host"));
                }
                Address::Tcp { host, port }
            }
        };
        let mode = match &address {
            Address::Unix { .. } => TlsMode::Disable,
            Address::Tcp { .. } => query.mode.unwrap_or(TlsMode::Prefer),
        };
        let database = match decode(url.path().trim_start_matches('/'))? {
            name if name.is_empty() => "postgres".to_owned(),
            name => name,
        };
        let password = url.password().map(|text| decode(text).map(Zeroizing::new)).transpose()?;
        Ok(Self { address, user, password, database, mode, ca_file: query.ca_file })
    }

    /// The CA certificate file that the URL names (`sslrootcert`).
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// What tokio-postgres needs to connect to one of the server's databases.
    pub(crate) fn config(
        &self,
        database: &str,
        connect: Duration,
        has_ca: bool,
    ) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .user(&self.user)
            .dbname(database)
            .application_name("dispatch-broker")
            .connect_timeout(connect)
            .keepalives_idle(Duration::from_secs(30))
            .ssl_mode(match self.mode {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
            });
        if self.mode == TlsMode::Require && !has_ca {
            config.channel_binding(ChannelBinding::Require);
        }
        if let Some(password) = &self.password {
            config.password(password.as_bytes());
        }
        match &self.address {
            Address::Tcp { host, port } => config.host(host).port(*port),
            Address::Unix { directory, port } => config.host_path(directory).port(*port),
        };
        config
    }

    /// The TLS that the URL asks for. `ca_pem` is the certificate of the server's own authority.
    pub(crate) fn tls(&self, ca_pem: Option<&str>) -> Result<Tls, AdminUrlError> {
        Ok(match (self.mode, ca_pem) {
            (TlsMode::VerifyFull, Some(pem)) => tls::verify_full(pem)?,
            (TlsMode::Require | TlsMode::VerifyCa, Some(pem)) => tls::verify_ca(pem)?,
            (TlsMode::VerifyFull, None) => return Err(AdminUrlError::NoCa("verify-full")),
            (TlsMode::VerifyCa, None) => return Err(AdminUrlError::NoCa("verify-ca")),
            (TlsMode::Disable | TlsMode::Prefer, _) | (TlsMode::Require, None) => {
                tls::encrypt_only()?
            }
        })
    }
}

#[derive(Default)]
struct Query {
    mode: Option<TlsMode>,
    ca_file: Option<PathBuf>,
    socket: Option<PathBuf>,
}

impl Query {
    fn read(url: &Url) -> Result<Self, AdminUrlError> {
        let mut query = Self::default();
        for (key, value) in url.query_pairs() {
            match &*key {
                "sslmode" => query.mode = Some(mode(&value)?),
                "sslrootcert" => query.ca_file = Some(PathBuf::from(&*value)),
                "host" if value.starts_with('/') => query.socket = Some(PathBuf::from(&*value)),
                "host" => return Err(AdminUrlError::Form("the parameter host is no directory")),
                other => return Err(AdminUrlError::Parameter(other.to_owned())),
            }
        }
        Ok(query)
    }
}

/// `USER@/…`, without a host, is right for libpq and wrong for a URL: it gets one to be read with.
fn with_host(text: &str) -> (String, bool) {
    let Some((scheme, rest)) = text.split_once("://") else { return (text.to_owned(), true) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.split_at(end) {
        (authority, path) if authority.ends_with('@') => {
            (format!("{scheme}://{authority}localhost{path}"), false)
        }
        _ => (text.to_owned(), true),
    }
}

fn mode(value: &str) -> Result<TlsMode, AdminUrlError> {
    Ok(match value {
        "disable" => TlsMode::Disable,
        "allow" | "prefer" => TlsMode::Prefer,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        other => return Err(AdminUrlError::SslMode(other.to_owned())),
    })
}

fn decode(text: &str) -> Result<String, AdminUrlError> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) if !text.contains('\0') => Ok(text.into_owned()),
        _ => Err(AdminUrlError::Form("a percent-encoded part is not text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<(&str, &str, &str, TlsMode), &str>) {
        match (AdminUrl::parse(text), expect) {
            (Ok(url), Ok((address, user, database, mode))) => {
                assert_eq!(url.address.to_string(), address, "{text}");
                assert_eq!(
                    (&*url.user, &*url.database, url.mode),
                    (user, database, mode),
                    "{text}"
                );
                assert!(!format!("{url:?}").contains("s3cret"), "{url:?}");
            }
            (Err(error), Err(part)) => {
                let error = error.to_string();
                assert!(error.contains(part), "{text}: {error}");
                assert!(!error.contains("s3cret"), "{error}");
            }
            (read, expect) => panic!("{text}: read {read:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn a_url_is_read_as_libpq_reads_it() {
        check(
            "postgresql://adm%40in:s3cret%2F@db.example:6432/main?sslmode=verify-full\n",
            Ok(("db.example:6432", "adm@in", "main", TlsMode::VerifyFull)),
        );
        check("postgres://a:s3cret@h", Ok(("h:5432", "a", "postgres", TlsMode::Prefer)));
        check("postgres://a@[::1]:1/?sslmode=require", {
            Ok(("[::1]:1", "a", "postgres", TlsMode::Require))
        });
        check(
            "postgresql://a@/x?host=%2Fvar%2Frun%2Fpostgresql",
            Ok(("/var/run/postgresql/.s.PGSQL.5432", "a", "x", TlsMode::Disable)),
        );
    }

    #[test]
    fn a_url_that_is_wrong_is_refused_with_what_is_wrong() {
        for (text, part) in [
            ("host=localhost user=a password=s3cret", "not a URL"),
            ("mysql://a:s3cret@h/", "the scheme"),
            ("postgres://h/d", "no user"),
            ("postgres://a:s3cret@/d", "no host"),
            ("postgres://a:s3cret@h,i/d", "several hosts"),
            ("postgres://a:s3cret@h/d?sslmode=full", "\"full\""),
            ("postgres://a:s3cret@h/d?ssl_mode=require", "\"ssl_mode\""),
            ("postgres://a:%FFs3cret@h/d", "not text"),
        ] {
            check(text, Err(part));
        }
    }

    #[test]
    fn a_verifying_mode_without_a_certificate_is_refused() {
        let url = AdminUrl::parse("postgres://a@h/d?sslmode=verify-ca").expect("a URL");
        assert!(matches!(url.tls(None), Err(AdminUrlError::NoCa("verify-ca"))));
        assert!(matches!(url.tls(Some("no certificate")), Err(AdminUrlError::Tls(_))));
    }
}
