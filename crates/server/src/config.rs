//! The server's settings: `server.toml`, each key also as `DISPATCH_SERVER_<KEY>` (decision 16).

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

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
    /// Everybody is the administrator. Only under a loopback name.
    pub skip_auth: bool,
    /// Allows addresses other than loopback without TLS.
    pub insecure_listen: bool,
    /// Brokers and services may have private addresses.
    pub allow_private_addresses: bool,
    /// How long a broker may take to answer one request, in milliseconds (OSB-013).
    pub broker_timeout_ms: u64,
}

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
            skip_auth: false,
            insecure_listen: false,
            allow_private_addresses: true,
            broker_timeout_ms: 60_000,
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
                text.parse().map_err(|error: toml::de::Error| wrong(&origin, error.to_string()))?;
            put(&mut table, given).map_err(|why| wrong(&origin, why))?;
        }
        let given = environment
            .into_iter()
            .filter_map(|(name, text)| {
                let key = name.strip_prefix(PREFIX)?;
                Some((key.to_ascii_lowercase(), value(&text)))
            })
            .collect();
        let origin = format!("{PREFIX}* in the environment");
        put(&mut table, given).map_err(|why| wrong(&origin, why))?;
        let settings: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| wrong("settings", error.message().to_owned()))?;
        settings.check()?;
        Ok(settings)
    }

    /// Anything but loopback needs TLS or a word that it is meant.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.listen.ip().is_loopback() || self.insecure_listen {
            return Ok(());
        }
        Err(SettingsError::InsecureListen { key: "listen", address: self.listen })
    }
}

fn put(table: &mut toml::Table, given: toml::Table) -> Result<(), String> {
    for (key, value) in given {
        if !table.contains_key(&key) {
            let near = table.keys().min_by_key(|known| crate::schema::distance(known, &key));
            let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
            return Err(format!("unknown key {key}{near}"));
        }
        table.insert(key, value);
    }
    Ok(())
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
    fn an_open_address_must_be_meant() {
        assert!(load("listen = \"0.0.0.0:80\"", &[]).is_err());
        assert!(load("listen = \"0.0.0.0:80\"\ninsecure_listen = true", &[]).is_ok());
    }
}
