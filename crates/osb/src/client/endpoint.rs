//! Where a broker is, how it knows us, how we know it, and how long we wait.

use std::fmt;
use std::time::Duration;

use crate::types::ApiVersion;

/// How to reach one broker.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `http` or `https`, with an optional path prefix; no credentials, query or fragment.
    pub url: String,
    pub authentication: Authentication,
    pub tls: Tls,
    /// The version to speak; 2.11 to 2.17.
    pub api_version: ApiVersion,
    pub limits: Limits,
}

impl Endpoint {
    /// A broker at this URL without credentials, with the usual limits and the latest version.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            authentication: Authentication::None,
            tls: Tls::default(),
            api_version: ApiVersion::LATEST,
            limits: Limits::default(),
        }
    }

    /// Whether credentials, ours and those of bindings, travel without TLS; allowed, but worth a
    /// warning (OSB-006).
    pub fn sends_credentials_in_clear(&self) -> bool {
        let scheme = self.url.trim().split(':').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case("http") && self.authentication != Authentication::None
    }
}

/// How the broker knows us (OSB-004, OSB-005). `Debug` shows no credential.
#[derive(Clone, PartialEq, Eq)]
pub enum Authentication {
    None,
    Basic {
        username: String,
        password: String,
    },
    Bearer {
        token: String,
    },
    /// A client certificate (with its chain) and its private key, both as PEM; needs `https`.
    Certificate {
        certificate_pem: String,
        key_pem: String,
    },
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(<redacted>)",
            Self::Bearer { .. } => "Bearer(<redacted>)",
            Self::Certificate { .. } => "Certificate(<redacted>)",
        })
    }
}

/// How we know the broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Trust these authorities (PEM, one or several) and no others.
    pub ca_pem: Option<String>,
    /// Trust anybody. Not together with `ca_pem`.
    pub skip_verify: bool,
}

/// Bounds of a client (OSB-013, OSB-014, OSB-020).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For name, connection and TLS handshake together.
    pub connect: Duration,
    /// For the whole request, from connecting to the last byte of the answer.
    pub request: Duration,
    pub answer_bytes: usize,
    pub catalog_bytes: usize,
    pub json_depth: usize,
    /// Requests at a time.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(60),
            answer_bytes: 4 * 1024 * 1024,
            catalog_bytes: 16 * 1024 * 1024,
            json_depth: 64,
            concurrency: 8,
        }
    }
}

/// Why no client can be made of an [`Endpoint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    #[error("the URL cannot be read")]
    Url(#[source] url::ParseError),
    #[error("the URL is not http or https")]
    Scheme,
    #[error("the URL contains credentials; they belong into the authentication")]
    CredentialsInUrl,
    #[error("the URL has a query or fragment")]
    UrlTail,
    #[error("a certificate authority and skipping verification exclude each other")]
    TrustTwice,
    #[error("the certificate authority is not a PEM certificate")]
    Authority(#[source] Option<reqwest::Error>),
    #[error("a client certificate needs an https URL")]
    CertificateWithoutTls,
    #[error("the client certificate and its key are not usable PEM")]
    Certificate(#[source] reqwest::Error),
    #[error("the credentials cannot be sent in a header")]
    Credentials,
    #[error("API version {0} is not one of 2.11 to 2.17")]
    Version(ApiVersion),
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
}
