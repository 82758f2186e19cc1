//! The typed client: one way to call any operation of the table, for the command line and for tests.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::{
    ErrorBody, ORGANIZATION_HEADER, Operation, SEEN_HEADER, SETTLED_HEADER, TRUNCATED_HEADER,
    routes,
};

/// Everything outside RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the server is and who calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    headers: HeaderMap,
}

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Scheme, host and port; a path is kept as a prefix.
    pub base: Url,
    pub organization: String,
    pub login: Login,
    /// Accept any certificate.
    pub insecure: bool,
    pub connect_timeout: Duration,
}

/// What the client shows to be let in.
#[derive(Clone)]
pub enum Login {
    Cookie(String),
    Bearer(String),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cookie(_) => "Cookie([redacted])",
            Self::Bearer(_) => "Bearer([redacted])",
        })
    }
}

/// A successful answer.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    pub body: T,
    pub status: u16,
    /// False when the server was asked to wait and the object had not settled in time.
    pub settled: bool,
    /// What to send as `seen` to be answered at the next change.
    pub seen: Option<String>,
    /// True when a list has an end that the server did not send.
    pub truncated: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server understood and refused.
    #[error("[Code: {}] {}", .body.code, .body.message)]
    Refused { status: u16, body: ErrorBody },
    #[error("unexpected error received from server: {status}")]
    Unexpected { status: u16, body: String },
    #[error("server {base} cannot be reached")]
    Unreachable {
        base: Url,
        #[source]
        source: reqwest::Error,
    },
    #[error("answer of the server cannot be read: {why}")]
    Unreadable { why: String },
    #[error("option {option} cannot be sent")]
    BadOption { option: &'static str },
}

impl Client {
    pub fn new(options: Options) -> Result<Self, ClientError> {
        let header = |text: &str, option| {
            HeaderValue::from_str(text).map_err(|_| ClientError::BadOption { option })
        };
        let mut headers = HeaderMap::new();
        let organization = header(&options.organization, "organization")?;
        headers.insert(HeaderName::from_static(const { "x-dispatch-org" }), organization);
        let (name, mut value) = match &options.login {
            Login::Cookie(cookie) => ("cookie", header(cookie, "cookie")?),
            Login::Bearer(token) => ("authorization", header(&format!("Bearer {token}"), "token")?),
        };
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
        debug_assert!(ORGANIZATION_HEADER.eq_ignore_ascii_case("x-dispatch-org"));
        let http = reqwest::Client::builder()
            .connect_timeout(options.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .tls_danger_accept_invalid_certs(options.insecure)
            .no_proxy();
        // Reading the machine's authorities takes longer than most commands do. Nothing is redirected, so that the
        // scheme says whether one of them will be asked for.
        let verifies = options.base.scheme() == "https" && !options.insecure;
        let http = if verifies { http } else { http.tls_certs_only([]) };
        let http = http
            .build()
            .map_err(|source| ClientError::Unreachable { base: options.base.clone(), source })?;
        Ok(Self { http, base: options.base, headers })
    }

    /// Calls an operation. `path` fills the `{…}` of its row, in order; they are percent-encoded here.
    pub async fn call<T: DeserializeOwned>(
        &self,
        operation: Operation,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Answer<T>, ClientError> {
        let route = routes::of(operation);
        let mut url = self.base.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}{}", fill(route.path, path)));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let method = reqwest::Method::from_bytes(route.method.as_str().as_bytes())
            .expect("the table holds HTTP methods");
        let mut request = self.http.request(method, url).headers(self.headers.clone());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request
            .send()
            .await
            .map_err(|source| ClientError::Unreachable { base: self.base.clone(), source })?;
        read(answer).await
    }
}

fn fill(template: &str, values: &[&str]) -> String {
    let mut values = values.iter();
    let segments = template.split('/').map(|segment| {
        if segment.starts_with('{') {
            let value = values.next().copied().unwrap_or_default();
            utf8_percent_encode(value, SEGMENT).to_string()
        } else {
            segment.to_owned()
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

async fn read<T: DeserializeOwned>(answer: reqwest::Response) -> Result<Answer<T>, ClientError> {
    let status = answer.status().as_u16();
    let settled = answer.headers().get(SETTLED_HEADER).is_none_or(|value| value != "false");
    let seen = answer.headers().get(SEEN_HEADER).and_then(|value| value.to_str().ok());
    let seen = seen.map(str::to_owned);
    let truncated = answer.headers().get(TRUNCATED_HEADER).is_some_and(|value| value == "true");
    let bytes = answer.bytes().await.map_err(|e| ClientError::Unreadable { why: e.to_string() })?;
    if !(200..300).contains(&status) {
        return Err(match serde_json::from_slice::<ErrorBody>(&bytes) {
            Ok(body) => ClientError::Refused { status, body },
            Err(_) => ClientError::Unexpected {
                status,
                body: String::from_utf8_lossy(&bytes).into_owned(),
            },
        });
    }
    let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
    let body =
        serde_json::from_slice(text).map_err(|e| ClientError::Unreadable { why: e.to_string() })?;
    Ok(Answer { body, status, settled, seen, truncated })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_paths_are_percent_encoded() {
        let check = |value: &str, expect: &str| assert_eq!(fill("/v1/x/{name}", &[value]), expect);
        check("p.mysql", "/v1/x/p.mysql");
        check("a b/c?d", "/v1/x/a%20b%2Fc%3Fd");
        check("größe", "/v1/x/gr%C3%B6%C3%9Fe");
    }
}
