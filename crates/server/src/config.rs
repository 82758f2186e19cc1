//! The server's settings: `server.toml`, each key also as `DISPATCH_SERVER_<KEY>` (decision 16).

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::packages::Build;

/// What can be set, with its default. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Control plane.
    pub listen: SocketAddr,
    /// API gateway over HTTP.
    pub gateway_listen: SocketAddr,
    /// API gateway over HTTPS.
    pub gateway_tls_listen: SocketAddr,
    /// Database, layers, certificates.
    pub data: PathBuf,
    /// The key-encryption keys: not in `data`, so that a copy of the data is not a copy of the keys.
    pub keys: PathBuf,
    /// Where the first start leaves the administrator's login for the command line; nowhere if empty.
    pub client_config: PathBuf,
    /// Who a server that was started as root goes on as; empty: it stays root.
    pub user: String,
    /// What is logged: a level, or a list of `target=level`.
    pub log: String,
    /// Everybody is the administrator. Only under a loopback name.
    pub skip_auth: bool,
    /// Allows addresses other than loopback without TLS.
    pub insecure_listen: bool,
    /// Brokers and services may have private addresses.
    pub allow_private_addresses: bool,
    /// How long a broker may take to answer one request, in milliseconds (OSB-013).
    pub broker_timeout_ms: u64,
    /// How long calls may go on once the server was asked to stop, in milliseconds (decision 19a).
    pub stop_timeout_ms: u64,
    /// How dependencies are installed, and from where.
    pub build: Build,
}

/// The user that a package makes. Where it is missing, a server that was started as root stays so, and warns.
pub const USER: &str = "dispatch";

impl Default for Settings {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            listen: local(8080),
            gateway_listen: local(8081),
            gateway_tls_listen: local(8444),
            data: PathBuf::from("/var/lib/dispatch"),
            keys: PathBuf::from("/etc/dispatch/keys"),
            client_config: PathBuf::new(),
            user: USER.to_owned(),
            log: "info".to_owned(),
            skip_auth: false,
            insecure_listen: false,
            allow_private_addresses: true,
            broker_timeout_ms: 60_000,
            stop_timeout_ms: 30_000,
            build: Build::default(),
        }
    }
}

/// Why the settings cannot be used. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("read the configuration {path}")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("configuration {origin}: {why}")]
    Wrong { origin: String, why: String },
    #[error(
        "{key} = {address} is not a loopback address, and the connection is not encrypted: use a TLS proxy in front, or say insecure_listen = true"
    )]
    InsecureListen { key: &'static str, address: SocketAddr },
}

const PREFIX: &str = "DISPATCH_SERVER_";

impl Settings {
    /// Defaults, then the file, then the environment; each over the one before.
    pub fn load(
        defaults: &Self,
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let wrong =
            |origin: &str, why: String| SettingsError::Wrong { origin: origin.to_owned(), why };
        let mut table = toml::Table::try_from(defaults)
            .map_err(|error| wrong("defaults", error.to_string()))?;
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
            let origin = path.display().to_string();
            let given: toml::Table =
                text.parse().map_err(|error| wrong(&origin, without_the_text(&text, &error)))?;
            put(&mut table, "", given).map_err(|why| wrong(&origin, why))?;
        }
        let origin = format!("{PREFIX}* in the environment");
        for (name, text) in environment {
            let Some(key) = name.strip_prefix(PREFIX) else { continue };
            put_one(&mut table, &key.to_ascii_lowercase(), &text)
                .map_err(|why| wrong(&origin, why))?;
        }
        let settings: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| wrong("settings", error.message().to_owned()))?;
        settings.check()?;
        Ok(settings)
    }

    /// Anything but loopback needs TLS or a word that it is meant; and what `build` says must be usable.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |(origin, why)| SettingsError::Wrong { origin, why };
        self.build.check().map_err(wrong)?;
        if self.listen.ip().is_loopback() || self.insecure_listen {
            return Ok(());
        }
        Err(SettingsError::InsecureListen { key: "listen", address: self.listen })
    }
}

/// Puts what a file says over what is known. `within` is the dotted name of the table, and its dot.
fn put(table: &mut toml::Table, within: &str, given: toml::Table) -> Result<(), String> {
    for (key, value) in given {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(known)), toml::Value::Table(given)) => {
                put(known, &format!("{within}{key}."), given)?;
            }
            (Some(known), value) => *known = value,
            (None, _) => {
                let known = table.keys().map(|known| format!("{within}{known}")).collect();
                return Err(unknown(&format!("{within}{key}"), known));
            }
        }
    }
    Ok(())
}

/// The same for one variable: `BUILD_PIP_INDEX_URL` is `build.pip.index_url`. Lists are told apart by white space.
fn put_one(table: &mut toml::Table, key: &str, text: &str) -> Result<(), String> {
    match find(table, key) {
        Some(toml::Value::Array(list)) => {
            *list = text.split_whitespace().map(|word| word.to_owned().into()).collect();
        }
        // Text stays text, whatever it looks like.
        Some(toml::Value::String(known)) => text.clone_into(known),
        Some(known) => *known = value(text),
        None => return Err(unknown(key, variables(table))),
    }
    Ok(())
}

fn find<'a>(table: &'a mut toml::Table, key: &str) -> Option<&'a mut toml::Value> {
    table.iter_mut().find_map(|(known, value)| match value {
        toml::Value::Table(inner) => {
            find(inner, key.strip_prefix(known.as_str())?.strip_prefix('_')?)
        }
        value => (known == key).then_some(value),
    })
}

/// All keys as variables name them.
fn variables(table: &toml::Table) -> Vec<String> {
    let names = table.iter().map(|(key, value)| match value {
        toml::Value::Table(inner) => {
            variables(inner).iter().map(|deeper| format!("{key}_{deeper}")).collect()
        }
        _ => vec![key.clone()],
    });
    names.flatten().collect()
}

fn unknown(key: &str, known: Vec<String>) -> String {
    let near = known.into_iter().min_by_key(|known| crate::schema::distance(known, key));
    let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
    format!("unknown key {key}{near}")
}

/// What is wrong with a file and where, without quoting it: a line may hold credentials.
fn without_the_text(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    format!("line {line}: {}", error.message())
}

/// `true` and `8080` are what they look like; everything else is text.
fn value(text: &str) -> toml::Value {
    match (text.parse::<bool>(), text.parse::<i64>()) {
        (Ok(flag), _) => toml::Value::Boolean(flag),
        (_, Ok(number)) => toml::Value::Integer(number),
        _ => toml::Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.toml");
        std::fs::write(&path, file).unwrap();
        let environment =
            environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Settings::load(&Settings::default(), Some(&path), environment)
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let file = "listen = \"127.0.0.1:1\"\nskip_auth = true";
        let settings = load(file, &[("DISPATCH_SERVER_LISTEN", "127.0.0.1:2"), ("HOME", "/x")]);
        let settings = settings.unwrap();
        assert_eq!(settings.listen.port(), 2);
        assert!(settings.skip_auth);
        assert_eq!(settings.gateway_listen.port(), 8081);
    }

    #[test]
    fn an_unknown_key_is_refused_with_what_may_be_meant() {
        let error = load("listne = 1", &[]).unwrap_err().to_string();
        assert!(error.ends_with("unknown key listne; did you mean listen?"), "{error}");
        assert!(load("", &[("DISPATCH_SERVER_SKIP_AUHT", "true")]).is_err());
        assert!(load("listen = 5", &[]).is_err());
    }

    #[test]
    fn tables_are_put_over_tables_and_variables_reach_into_them() {
        let file = "[build.pip]\nindex_url = \"https://a/simple\"\nhosts = [\"b\"]\n";
        let variables = [
            ("DISPATCH_SERVER_BUILD_PIP_HOSTS", "c d:8443"),
            ("DISPATCH_SERVER_BUILD_PIP_PROXY", "proxy:3128"),
            ("DISPATCH_SERVER_BUILD_PIP_TIMEOUT_SECONDS", "5"),
            ("DISPATCH_SERVER_BUILD_PIP_CERTIFICATES", "1"),
        ];
        let pip = load(file, &variables).unwrap().build.pip;
        assert_eq!(pip.index_url, crate::packages::Address::new("https://a/simple"));
        assert_eq!(pip.hosts, ["c", "d:8443"]);
        assert_eq!((pip.timeout_seconds, pip.no_index), (5, false));
        assert_eq!(pip.certificates, PathBuf::from("1"));
        let check = |file: &str, variables: &[(&str, &str)], expect: &str| {
            let error = load(file, variables).unwrap_err().to_string();
            assert!(error.ends_with(expect), "{error}");
        };
        let meant = "unknown key build.pip.index_uri; did you mean build.pip.index_url?";
        check("[build.pip]\nindex_uri = 1", &[], meant);
        check("[build.nmp]\nx = 1", &[], "unknown key build.nmp; did you mean build.npm?");
        let variable = [("DISPATCH_SERVER_BUILD_PIP_HOST", "x")];
        check("", &variable, "unknown key build_pip_host; did you mean build_pip_hosts?");
        check("[build.pip]\nproxy = \"https://x:1\"", &[], "other kinds of proxy are not known");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_quoted() {
        let file = "\n[build.pip]\nindex_url = \"https://me:hunter2@index/\n";
        let error = load(file, &[]).unwrap_err().to_string();
        assert!(error.contains("line 3") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_open_address_must_be_meant() {
        assert!(load("listen = \"0.0.0.0:80\"", &[]).is_err());
        assert!(load("listen = \"0.0.0.0:80\"\ninsecure_listen = true", &[]).is_ok());
    }
}
