//! What a broker of the server's own may be told (`parameters`, `--param`), checked before anything is stored: all
//! faults at once. A login is never among it.

use dispatch_api::Fault;
use dispatch_model::service_broker::Builtin;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// The arguments of the PostgreSQL broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arguments {
    /// The broker runs the shared server itself.
    pub managed: bool,
    /// Where the shared server is otherwise.
    pub host: Option<String>,
    /// The port of the shared server: where it is, or is to be.
    pub port: Option<u16>,
    /// What the administrator connects to.
    pub database: Option<String>,
    pub sslmode: Option<String>,
    /// Ports of servers for one instance alone, `FIRST-LAST`; `none` for no such plan.
    pub dedicated_ports: Option<String>,
}

/// Name and meaning of each, in the order in which they are told.
const KNOWN: [(&str, &str); 6] = [
    ("managed", "true or false"),
    ("host", "a host name or an address"),
    ("port", "a port, 1 to 65535"),
    ("database", "the name of a database"),
    ("sslmode", "disable, prefer, require, verify-ca or verify-full"),
    ("dedicatedPorts", "a range of ports, FIRST-LAST, or none"),
];

/// Those of a server that is there already.
const OF_ANOTHER: [&str; 3] = ["host", "database", "sslmode"];

/// How a login is given.
pub const LOGIN: &str = "a login belongs into a secret with the keys username and password: \
                         dispatch create secret NAME FILE, and then --auth-secret NAME (authentication.secret)";

/// The arguments in a request's `parameters`.
pub fn check(kind: Builtin, given: Option<&Value>) -> Result<Arguments, Vec<Fault>> {
    let Builtin::Postgresql = kind;
    let mut arguments = Arguments::default();
    let mut faults = Vec::new();
    let mut fault = |name: &str, message: String| {
        let path = format!("/parameters/{}", name.replace('~', "~0").replace('/', "~1"));
        faults.push(Fault { path, message });
    };
    let none = serde_json::Map::new();
    let given = match given {
        None => &none,
        Some(Value::Object(given)) => given,
        Some(_) => {
            let message = "is not a JSON object".to_owned();
            return Err(vec![Fault { path: "/parameters".to_owned(), message }]);
        }
    };
    for (name, value) in given {
        if value.as_str().is_some_and(has_password) {
            fault(name, format!("has a password in it; {LOGIN}"));
        } else if let Err(why) = set(&mut arguments, name, value) {
            fault(name, why);
        }
    }
    if arguments.managed {
        for name in OF_ANOTHER.into_iter().filter(|name| given.contains_key(*name)) {
            fault(
                name,
                "is of a server that is there already, and managed=true makes one".to_owned(),
            );
        }
    } else if !given.contains_key("host") && !is_unclear(given.get("managed")) {
        let message = "is required, unless managed=true has the broker make a server of its own";
        fault("host", message.to_owned());
    }
    if faults.is_empty() { Ok(arguments) } else { Err(faults) }
}

/// Whether a switch was given that is neither on nor off: what depends on it cannot be told.
fn is_unclear(switch: Option<&Value>) -> bool {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    switch.map(text).is_some_and(|text| text.trim().parse::<bool>().is_err())
}

fn set(arguments: &mut Arguments, name: &str, value: &Value) -> Result<(), String> {
    let Some((_, meaning)) = KNOWN.iter().find(|(known, _)| *known == name) else {
        let login = ["user", "username", "password", "pass", "url", "admin-url", "adminUrl"];
        if login.contains(&name) {
            return Err(format!("is unknown; {LOGIN}"));
        }
        let known: Vec<&str> = KNOWN.iter().map(|(known, _)| *known).collect();
        return Err(format!("is unknown; there are {}", known.join(", ")));
    };
    let wrong = || format!("is not {meaning}");
    // Numbers and switches are taken as text, too: that is what a command line has.
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return Err(wrong()),
    };
    match name {
        "managed" => arguments.managed = text.parse().map_err(|_| wrong())?,
        "port" => {
            let port = text.parse().ok().filter(|port| *port != 0);
            arguments.port = Some(port.ok_or_else(wrong)?);
        }
        "host" if is_host(&text) => arguments.host = Some(text),
        "database" if !text.is_empty() && text.len() <= 63 => arguments.database = Some(text),
        "sslmode" if meaning.split([',', ' ']).any(|word| word == text) && text != "or" => {
            arguments.sslmode = Some(text);
        }
        "dedicatedPorts" if text == "none" || is_range(&text) => {
            arguments.dedicated_ports = Some(text);
        }
        _ => return Err(wrong()),
    }
    Ok(())
}

/// A name or an address alone. A directory with a socket is none: who comes through it is the server's own user.
fn is_host(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    !text.is_empty() && text.len() <= 255 && text.chars().all(plain)
}

fn is_range(text: &str) -> bool {
    let Some((first, last)) = text.split_once('-') else { return false };
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) => (1024..=last).contains(&first),
        _ => false,
    }
}

/// A URL with a login in it, or a list of settings with a password.
fn has_password(text: &str) -> bool {
    let url = Url::parse(text).is_ok_and(|url| url.password().is_some());
    url || text.contains("password=")
        || text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(given: &Value) -> Result<Arguments, Vec<(String, String)>> {
        let checked = check(Builtin::Postgresql, Some(given));
        checked
            .map_err(|faults| faults.into_iter().map(|fault| (fault.path, fault.message)).collect())
    }

    #[test]
    fn arguments_are_read_as_json_or_as_text() {
        let expect = Arguments {
            host: Some("db.example".to_owned()),
            port: Some(6432),
            sslmode: Some("verify-full".to_owned()),
            ..Arguments::default()
        };
        let json = json!({"host": "db.example", "port": 6432, "sslmode": "verify-full"});
        assert_eq!(found(&json), Ok(expect.clone()));
        let text = json!({"host": "db.example", "port": "6432", "sslmode": "verify-full"});
        assert_eq!(found(&text), Ok(expect));
        for managed in [json!(true), json!("true")] {
            let arguments = found(&json!({"managed": managed, "dedicatedPorts": "none"})).unwrap();
            assert!(arguments.managed && arguments.dedicated_ports.as_deref() == Some("none"));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_there_is_and_a_password_is_never_repeated() {
        let check = |given: Value, expect: &[(&str, &str)]| {
            let faults = found(&given).unwrap_err();
            assert_eq!(faults.len(), expect.len(), "{faults:?}");
            for ((path, message), (name, part)) in faults.iter().zip(expect) {
                assert_eq!(*path, format!("/parameters/{name}"));
                assert!(message.contains(part), "{message}");
                assert!(!message.contains("s3cret"), "{message}");
            }
        };
        check(json!({}), &[("host", "is required, unless managed=true")]);
        check(json!({"managed": false}), &[("host", "is required")]);
        check(json!({"managed": "yes"}), &[("managed", "is not true or false")]);
        check(
            json!({"hots": "h"}),
            &[("hots", "is unknown; there are managed, host, port,"), ("host", "is required")],
        );
        check(json!({"host": "h", "password": "s3cret"}), &[("password", "belongs into a secret")]);
        let url = "postgresql://postgres:s3cret@h/postgres";
        for (name, value) in [
            ("host", url),
            ("database", url),
            ("x", url),
            ("host", "host=h password=s3cret"),
            ("host", "x://a:s3cret@ b"),
        ] {
            let mut given = json!({"host": "h"});
            given[name] = json!(value);
            check(given, &[(name, "has a password in it; a login belongs")]);
        }
        check(json!({"host": "/var/run/postgresql"}), &[("host", "is not a host name")]);
        check(json!({"host": "postgresql://h"}), &[("host", "is not a host name")]);
        check(json!({"host": ["h"]}), &[("host", "is not a host name")]);
        for port in [json!(0), json!(65536), json!(-1), json!("x"), json!(1.5)] {
            check(json!({"host": "h", "port": port}), &[("port", "is not a port, 1 to 65535")]);
        }
        assert_eq!(found(&json!({"host": "h", "port": 65535})).unwrap().port, Some(65535));
        check(json!({"host": "h", "sslmode": "full"}), &[("sslmode", "disable, prefer")]);
        check(json!({"host": "h", "sslmode": "or"}), &[("sslmode", "disable, prefer")]);
        check(json!({"host": "h", "dedicatedPorts": "9-8"}), &[("dedicatedPorts", "FIRST-LAST")]);
        let both = json!({"managed": true, "host": "h", "sslmode": "require"});
        check(both, &[("host", "managed=true makes one"), ("sslmode", "managed=true makes one")]);
    }
}
