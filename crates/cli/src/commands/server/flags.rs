//! The flags that a server takes, each as the setting that it stands for.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use dispatch_server::config::{Flag, Given, Source};

#[derive(Debug, Default, clap::Args)]
pub struct Flags {
    /// Settings (default server.toml in the configuration directory; DISPATCH_SERVER_CONFIG)
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where everything is kept but the keys (DISPATCH_SERVER_DATA)
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Where the keys are kept that secrets are sealed with (DISPATCH_SERVER_KEYS)
    #[arg(long, value_name = "DIR")]
    pub(super) keys: Option<PathBuf>,
    /// Where the control plane listens (default 127.0.0.1:8080; DISPATCH_SERVER_LISTEN)
    #[arg(long, value_name = "ADDRESS[:PORT]", conflicts_with = "host")]
    pub(super) listen: Option<String>,
    /// Address of all listeners (default 127.0.0.1)
    #[arg(long, value_name = "ADDRESS")]
    pub(super) host: Option<String>,
    /// Port of the control plane (default 8080); 0 takes a free one
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// Port of the gateway for HTTP (default 8081; DISPATCH_SERVER_GATEWAY_LISTEN)
    #[arg(long, value_name = "PORT")]
    pub(super) gateway_port: Option<u16>,
    /// Port of the gateway for HTTPS (default 8444; DISPATCH_SERVER_GATEWAY_TLS_LISTEN)
    #[arg(long, value_name = "PORT")]
    pub(super) gateway_tls_port: Option<u16>,
    /// Let everybody in, from this machine only (DISPATCH_SERVER_SKIP_AUTH)
    #[arg(long)]
    pub(super) skip_auth: bool,
    /// Listen without TLS where others can listen in (DISPATCH_SERVER_INSECURE_LISTEN)
    #[arg(long)]
    pub(super) insecure_listen: bool,
}

impl Flags {
    /// Those that another command has, too.
    pub fn only(config: Option<PathBuf>, data: Option<PathBuf>) -> Self {
        Self { config, data, ..Self::default() }
    }

    /// Puts them over what was given before them: some change only a part of that.
    pub(super) fn put(&self, given: &mut Given) {
        let mut flags = Vec::new();
        for (name, key, path) in [("--data", "data", &self.data), ("--keys", "keys", &self.keys)] {
            match path.as_ref().map(|path| path.to_str()) {
                Some(Some(text)) => flags.push(flag(name, key, text)),
                Some(None) => fault(given, name, "it has a name that is not UTF-8".to_owned()),
                None => {}
            }
        }
        self.put_listeners(given, &mut flags);
        let switches = [
            ("--skip-auth", "skip_auth", self.skip_auth),
            ("--insecure-listen", "insecure_listen", self.insecure_listen),
        ];
        let on = switches.into_iter().filter(|(_, _, on)| *on);
        flags.extend(on.map(|(name, key, _)| flag(name, key, "true")));
        given.flags(flags);
    }

    fn put_listeners(&self, given: &mut Given, flags: &mut Vec<Flag>) {
        let listen = parsed(given, "--listen", self.listen.as_deref(), place);
        let host = parsed(given, "--host", self.host.as_deref(), address);
        let before = given.settings();
        let mut control = Change::of("listen", before.listen);
        control.ip("--listen", listen.map(|(ip, _)| ip));
        control.port("--listen", listen.and_then(|(_, port)| port));
        control.ip("--host", host);
        control.port("--port", self.port);
        let mut gateway = Change::of("gateway_listen", before.gateway_listen);
        gateway.ip("--host", host);
        gateway.port("--gateway-port", self.gateway_port);
        let mut tls = Change::of("gateway_tls_listen", before.gateway_tls_listen);
        tls.ip("--host", host);
        tls.port("--gateway-tls-port", self.gateway_tls_port);
        flags.extend([control, gateway, tls].into_iter().filter_map(Change::flag));
    }
}

/// An address, and the flags that change it.
struct Change {
    key: &'static str,
    at: SocketAddr,
    names: Vec<&'static str>,
}

impl Change {
    const fn of(key: &'static str, at: SocketAddr) -> Self {
        Self { key, at, names: Vec::new() }
    }

    fn ip(&mut self, name: &'static str, ip: Option<IpAddr>) {
        if let Some(ip) = ip {
            self.at.set_ip(ip);
            self.names.push(name);
        }
    }

    fn port(&mut self, name: &'static str, port: Option<u16>) {
        if let Some(port) = port {
            self.at.set_port(port);
            self.names.push(name);
        }
    }

    fn flag(mut self) -> Option<Flag> {
        self.names.dedup();
        let value = self.at.to_string();
        (!self.names.is_empty()).then(|| flag(&self.names.join(", "), self.key, &value))
    }
}

fn flag(name: &str, key: &'static str, value: &str) -> Flag {
    Flag { name: name.to_owned(), key, value: value.to_owned() }
}

fn fault(given: &mut Given, name: &str, why: String) {
    given.fault(Source::Flag(name.to_owned()), why);
}

/// What cannot be read is noted.
fn parsed<T>(
    given: &mut Given,
    name: &str,
    text: Option<&str>,
    parse: fn(&str) -> Result<T, String>,
) -> Option<T> {
    match parse(text?) {
        Ok(parsed) => Some(parsed),
        Err(why) => {
            fault(given, name, why);
            None
        }
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let plain = text.trim_start_matches('[').trim_end_matches(']');
    plain.parse().map_err(|_| format!("{text:?} is not an address of this machine"))
}

/// `127.0.0.1`, `127.0.0.1:8080`, `[::1]:8080`.
fn place(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    match text.parse::<SocketAddr>() {
        Ok(place) => Ok((place.ip(), Some(place.port()))),
        Err(_) => match text.strip_prefix("localhost:").map(str::parse) {
            Some(Ok(port)) => Ok((Ipv4Addr::LOCALHOST.into(), Some(port))),
            _ => Ok((address(text)?, None)),
        },
    }
}
