//! What a function is told about the request that called it: its `httpContext` (contract §6.2).

use http::request::Parts;
use serde_json::{Map, Value};

use crate::{listener::Peer, route::Route};

/// Headers that carry credentials (decision 38), in lower case.
const CREDENTIALS: [&str; 5] =
    ["authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"];

/// All headers by their lower-case names, repeated ones joined by a comma, and the facts about the request, which a
/// header of the same name covers (v0.1.22 behind Kong).
pub(crate) fn http_context(parts: &Parts, route: &Route, peer: Option<Peer>) -> Map<String, Value> {
    let uri = parts.uri.path_and_query().map_or("/", |uri| uri.as_str());
    let tls = peer.is_some_and(|peer| peer.tls);
    let facts = [
        ("args", parts.uri.query().unwrap_or_default()),
        ("method", parts.method.as_str()),
        ("request", uri),
        ("request-uri", uri),
        ("scheme", if tls { "https" } else { "http" }),
        ("server-protocol", protocol(parts.version)),
        ("upstream-uri", &*route.function.name),
        ("uri", uri),
    ];
    let mut context: Map<String, Value> =
        facts.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    for name in parts.headers.keys() {
        let values = parts.headers.get_all(name).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        context.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    context
}

/// The same without what must not reach the disk (decision 38): Authorization, Cookie, Set-Cookie,
/// Proxy-Authorization and X-Api-Key.
pub fn without_credentials(mut context: Map<String, Value>) -> Map<String, Value> {
    context.retain(|name, _| !CREDENTIALS.iter().any(|secret| name.eq_ignore_ascii_case(secret)));
    context
}

fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stored_has_no_credentials() {
        let context = json!({
            "authorization": "Basic x", "cookie": "a=b", "set-cookie": "c=d",
            "proxy-authorization": "Basic y", "x-api-key": "k", "X-Api-Key": "k",
            "method": "GET", "x-request-id": "1",
        });
        let Value::Object(context) = context else { panic!("it is an object") };
        let expect = json!({"method": "GET", "x-request-id": "1"});
        assert_eq!(Value::Object(without_credentials(context)), expect);
    }
}
