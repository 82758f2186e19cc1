//! The server's settings: `server.toml`, each key also as `DISPATCH_SERVER_<KEY>` (decision 16). How they are put
//! together is in `config/given.rs`, what is wrong with them in `config/fault.rs`.

mod fault;
mod given;
mod source;
#[cfg(test)]
mod tests;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::packages::Build;
pub use fault::{Fault, SettingsError};
pub use given::{Flag, Given, Resolved};
pub use source::Source;

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

/// What is wrong with settings of which each is right.
#[derive(Debug)]
pub(crate) struct Contradiction {
    /// The key that should change, and what it disagrees with.
    keys: Vec<String>,
    why: String,
}

impl Settings {
    /// Anything but loopback needs TLS or a word that it is meant, two listeners need two ports, and what `build` says
    /// must be usable.
    pub(crate) fn contradictions(&self) -> Vec<Contradiction> {
        let build = self.build.check().err();
        let build = build.map(|(key, why)| Contradiction { keys: vec![key], why });
        let mut found: Vec<Contradiction> = build.into_iter().collect();
        if !self.listen.ip().is_loopback() && !self.insecure_listen {
            let why = format!(
                "{} is not a loopback address, and the connection is not encrypted: use a TLS proxy in front, or say insecure_listen = true",
                self.listen
            );
            found.push(Contradiction { keys: vec!["listen".to_owned()], why });
        }
        let listeners = [
            ("listen", self.listen),
            ("gateway_listen", self.gateway_listen),
            ("gateway_tls_listen", self.gateway_tls_listen),
        ];
        for (index, (key, address)) in listeners.iter().enumerate() {
            let before = listeners.iter().take(index);
            let twice = before.filter(|(_, other)| address.port() != 0 && other == address);
            found.extend(twice.map(|(other, _)| Contradiction {
                keys: vec![(*key).to_owned(), (*other).to_owned()],
                why: format!("{address} is the address of {other} already"),
            }));
        }
        found
    }
}
