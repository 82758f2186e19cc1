//! npm: the settings `build.npm`, what its own environment and files say ([`found`]), and what comes of them
//! ([`plan()`]).

mod found;
mod plan;

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Address, way};

pub use found::found;
pub use plan::plan;

/// The settings under `build.npm`, in npm's words. What is empty is not set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub registry: Address,
    /// Registries of scopes: `@SCOPE:registry=URL`.
    pub scopes: Vec<Line>,
    /// How registries know us: `//HOST/PATH/:_authToken=TOKEN` and its like.
    pub credentials: Vec<Line>,
    /// Hosts that builds may reach besides those of the URLs above: `HOST` or `HOST:PORT`, with TLS.
    pub hosts: Vec<String>,
    /// Whether registries' certificates are looked at.
    pub strict_ssl: bool,
    /// Certificates to trust instead of the machine's: a PEM file.
    pub certificates: PathBuf,
    /// The proxy that the server itself goes through: `http://[USER:PASSWORD@]HOST:PORT`.
    pub proxy: Address,
    /// Hosts that are reached without it.
    pub no_proxy: Vec<String>,
    /// Settings of the machine's npm that builds do not take over, and why: each is noted in build logs.
    pub not_used: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            registry: Address::new("https://registry.npmjs.org/"),
            scopes: Vec::new(),
            credentials: Vec::new(),
            hosts: Vec::new(),
            strict_ssl: true,
            certificates: PathBuf::new(),
            proxy: Address::default(),
            no_proxy: Vec::new(),
            not_used: Vec::new(),
        }
    }
}

/// `KEY=VALUE`, as in npm's files. It may hold credentials: `Debug` shows the key only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Line(String);

impl Line {
    pub fn new(key: &str, value: &str) -> Self {
        Self(format!("{key}={value}"))
    }

    /// A whole line, as `server.toml` has it.
    pub(super) fn of_settings(text: String) -> Self {
        Self(text)
    }

    fn pair(&self) -> Option<(&str, &str)> {
        self.0.split_once('=').map(|(key, value)| (key.trim(), value.trim()))
    }

    /// The scope's key and its registry.
    fn scope(&self) -> Option<(&str, Address)> {
        let (key, url) = self.pair()?;
        let is_scope = key.starts_with('@') && key.ends_with(":registry");
        is_scope.then(|| (key, Address::new(url))).filter(|(_, url)| url.web().is_some())
    }

    /// The key of a credential, and the secret.
    fn credential(&self) -> Option<(&str, &str)> {
        const KINDS: [&str; 5] = [":_authToken", ":_auth", ":username", ":_password", ":email"];
        let (key, value) = self.pair()?;
        let known = key.starts_with("//") && KINDS.iter().any(|kind| key.ends_with(kind));
        known.then_some((key, value))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pair().map_or("<hidden>", |(key, _)| key))
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let is_web = self.registry.is_empty() || self.registry.web().is_some();
        let why = "it must be an http or https URL";
        is_web.then_some(()).ok_or(("registry", why.to_owned()))?;
        let good = self.scopes.iter().all(|line| line.scope().is_some());
        let why = "it must hold @SCOPE:registry=URL";
        good.then_some(()).ok_or(("scopes", why.to_owned()))?;
        let good = self.credentials.iter().all(|line| line.credential().is_some());
        let why =
            "it must hold //HOST/PATH/:_authToken=TOKEN, or with :_auth, :username, :_password";
        good.then_some(()).ok_or(("credentials", why.to_owned()))?;
        way::check(&self.hosts, &self.proxy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_used_are_named_and_never_quoted() {
        let check = |change: fn(&mut Config), expect: Option<&str>| {
            let mut config = Config::default();
            change(&mut config);
            let found = config.check();
            assert_eq!(found.as_ref().err().map(|(key, _)| *key), expect, "{found:?}");
            assert!(!format!("{found:?} {config:?}").contains("hunter2"), "{found:?} {config:?}");
        };
        check(|_| {}, None);
        check(|c| c.registry = Address::new("ftp://u:hunter2@x/"), Some("registry"));
        check(|c| c.registry = Address::new("http://u:hunter2@x/"), None);
        check(|c| c.scopes = vec![Line::new("@a:registry", "https://u:hunter2@x/")], None);
        check(|c| c.scopes = vec![Line::new("@a", "https://u:hunter2@x/")], Some("scopes"));
        check(|c| c.scopes = vec![Line::new("@a:registry", "u:hunter2@x")], Some("scopes"));
        check(|c| c.credentials = vec![Line::new("//x/:_authToken", "hunter2")], None);
        check(|c| c.credentials = vec![Line("hunter2".to_owned())], Some("credentials"));
        check(|c| c.credentials = vec![Line::new("x:_auth", "hunter2")], Some("credentials"));
        check(|c| c.hosts = vec!["a:443".to_owned(), "b c".to_owned()], Some("hosts"));
        check(|c| c.proxy = Address::new("socks5://u:hunter2@proxy:3128"), Some("proxy"));
    }
}
