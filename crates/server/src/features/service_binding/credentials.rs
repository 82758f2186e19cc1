//! From a binding document to a secret and to the endpoints that a function may reach. Pure.

use dispatch_model::service_binding::Endpoint;
use dispatch_osb::types::BindingDocument;
use dispatch_store::SecretValues;
use jiff::Timestamp;
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

/// The flat map of strings that functions of the first Dispatch expect: nested values as JSON text (decision 26).
pub(super) fn values(document: &BindingDocument) -> SecretValues {
    let mut values = SecretValues::default();
    let empty = Map::new();
    for (key, value) in document.credentials.as_ref().unwrap_or(&empty) {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        values.insert(key.clone(), Zeroizing::new(text));
    }
    values
}

/// Where the service listens: the binding's own endpoints, else host and port, else a URI in the credentials
/// (design §6).
pub(super) fn endpoints(document: &BindingDocument) -> Vec<Endpoint> {
    let mut found: Vec<Endpoint> = Vec::new();
    for endpoint in &document.endpoints {
        for port in &endpoint.ports {
            if let Some(port) = single_port(port) {
                found.push(Endpoint { host: endpoint.host.clone(), port });
            }
        }
    }
    if found.is_empty() {
        let empty = Map::new();
        let credentials = document.credentials.as_ref().unwrap_or(&empty);
        found.extend(from_host_and_port(credentials).or_else(|| from_uri(credentials)));
    }
    found.sort();
    found.dedup();
    found
}

fn from_host_and_port(credentials: &Map<String, Value>) -> Option<Endpoint> {
    let host = ["host", "hostname"].iter().find_map(|key| credentials.get(*key)?.as_str())?;
    let port = match credentials.get("port")? {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok()?,
        Value::String(text) => single_port(text)?,
        _ => return None,
    };
    Some(Endpoint { host: host.to_owned(), port })
}

fn from_uri(credentials: &Map<String, Value>) -> Option<Endpoint> {
    let text = ["uri", "url"].iter().find_map(|key| credentials.get(*key)?.as_str())?;
    let url = Url::parse(text).ok()?;
    let port = url.port_or_known_default().or_else(|| usual_port(url.scheme()))?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    Some(Endpoint { host: host.to_owned(), port })
}

fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "postgres" | "postgresql" => Some(5432),
        "mysql" | "mariadb" => Some(3306),
        "redis" | "rediss" => Some(6379),
        "amqp" => Some(5672),
        "amqps" => Some(5671),
        "mongodb" => Some(27017),
        _ => None,
    }
}

/// Ranges (`1000-2000`) are legal and name no port that could be opened one by one.
fn single_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

/// `metadata.expires_at`, if it is a time.
pub(super) fn expires(document: &BindingDocument) -> Option<Timestamp> {
    document.metadata.as_ref()?.expires_at.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(json: Value) -> BindingDocument {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn endpoints_come_from_the_binding_else_from_host_and_port_else_from_a_uri() {
        let check = |json: Value, expect: &[(&str, u16)]| {
            let found = endpoints(&document(json.clone()));
            let found: Vec<(&str, u16)> =
                found.iter().map(|endpoint| (endpoint.host.as_str(), endpoint.port)).collect();
            assert_eq!(found, expect, "{json}");
        };
        check(
            json!({"endpoints": [{"host": "db", "ports": ["5432", "1-9"], "protocol": "tcp"}],
                   "credentials": {"host": "other", "port": 1}}),
            &[("db", 5432)],
        );
        check(json!({"credentials": {"host": "10.0.0.1", "port": "5433"}}), &[("10.0.0.1", 5433)]);
        check(json!({"credentials": {"hostname": "h", "port": 6379}}), &[("h", 6379)]);
        check(json!({"credentials": {"uri": "postgresql://u:p@[::1]/d"}}), &[("::1", 5432)]);
        check(json!({"credentials": {"uri": "https://api.example/x"}}), &[("api.example", 443)]);
        check(json!({"credentials": {"password": "x", "port": 70000}}), &[]);
        check(json!({}), &[]);
    }

    #[test]
    fn nested_credentials_become_json_text() {
        let values = values(&document(json!({"credentials": {
            "user": "u", "port": 5432, "tls": true, "hosts": ["a", "b"], "none": null
        }})));
        let found: Vec<(&str, &str)> = values.iter().collect();
        assert_eq!(
            found,
            [
                ("hosts", "[\"a\",\"b\"]"),
                ("none", "null"),
                ("port", "5432"),
                ("tls", "true"),
                ("user", "u"),
            ]
        );
    }
}
