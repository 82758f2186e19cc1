//! What a binding gives its function: strings, as in the secret of the original's tutorial, and the
//! endpoint that it has to reach.

use dispatch_osb::types::{BindingDocument, Endpoint, JsonObject};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::catalog::TAGS;

/// What is the same for all bindings: how functions reach the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) ca_pem: Option<String>,
}

/// Everything but what RFC 3986 leaves as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The document of one binding.
pub(super) fn document(
    reach: &Reach,
    database: &str,
    username: &str,
    password: &str,
) -> BindingDocument {
    let mut credentials = JsonObject::new();
    let mut add = |key: &str, value: String| {
        credentials.insert(key.to_owned(), Value::String(value));
    };
    add("database", database.to_owned());
    add("host", reach.host.clone());
    add("port", reach.port.to_string());
    add("username", username.to_owned());
    add("password", password.to_owned());
    add("uri", uri(reach, database, username, password));
    add("sslRequired", reach.tls.to_string());
    add("tags", Value::from(TAGS).to_string());
    if let Some(pem) = &reach.ca_pem {
        add("caCertificate", pem.clone());
    }
    BindingDocument {
        credentials: Some(credentials),
        endpoints: vec![Endpoint {
            host: reach.host.clone(),
            ports: vec![reach.port.to_string()],
            protocol: Some("tcp".to_owned()),
        }],
        ..BindingDocument::default()
    }
}

fn uri(reach: &Reach, database: &str, username: &str, password: &str) -> String {
    let escape = |text| utf8_percent_encode(text, ESCAPED);
    let host = match reach.host.contains(':') {
        true => format!("[{}]", reach.host),
        false => reach.host.clone(),
    };
    format!(
        "postgresql://{}:{}@{host}:{}/{}{}",
        escape(username),
        escape(password),
        reach.port,
        escape(database),
        if reach.tls { "?sslmode=require" } else { "" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach: &Reach, expect_uri: &str, expect_keys: &[&str]) {
        let document = document(reach, "d-1", "u@x", "p/ä:w");
        let credentials = document.credentials.expect("credentials");
        assert!(credentials.values().all(Value::is_string), "all are strings");
        let mut keys: Vec<_> = credentials.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, expect_keys);
        assert_eq!(credentials["uri"], expect_uri);
        assert_eq!(credentials["sslRequired"], reach.tls.to_string());
        let tags: Vec<String> =
            serde_json::from_str(credentials["tags"].as_str().expect("text")).expect("a list");
        assert_eq!(tags, TAGS);
        let endpoint = document.endpoints.first().expect("an endpoint");
        assert_eq!((&endpoint.host, &*endpoint.ports[0]), (&reach.host, "5433"));
    }

    #[test]
    fn credentials_are_strings_and_the_uri_is_escaped() {
        let mut reach = Reach { host: "::1".to_owned(), port: 5433, tls: false, ca_pem: None };
        let keys =
            ["database", "host", "password", "port", "sslRequired", "tags", "uri", "username"];
        check(&reach, "postgresql://u%40x:p%2F%C3%A4%3Aw@[::1]:5433/d-1", &keys);
        reach = Reach { host: "db".to_owned(), tls: true, ca_pem: Some("PEM".to_owned()), ..reach };
        let with_ca: Vec<_> = ["caCertificate"].into_iter().chain(keys).collect();
        check(&reach, "postgresql://u%40x:p%2F%C3%A4%3Aw@db:5433/d-1?sslmode=require", &with_ca);
    }
}
