//! pip: the settings `build.pip`, what its own environment and files say ([`found`]), and what comes of them
//! ([`plan()`]).

mod file;
mod found;
mod plan;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Address, way};

pub use found::found;
pub use plan::{directories, plan};

/// The settings under `build.pip`, in pip's words. What is empty is not set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub index_url: Address,
    pub extra_index_urls: Vec<Address>,
    /// URLs, and directories of this machine.
    pub find_links: Vec<Address>,
    /// No index at all: only `find_links`.
    pub no_index: bool,
    /// Hosts, `HOST` or `HOST:PORT`, whose certificates are not looked at, or that speak plain HTTP.
    pub trusted_hosts: Vec<String>,
    /// Hosts that builds may reach besides those of the URLs above: `HOST` or `HOST:PORT`, with TLS.
    pub hosts: Vec<String>,
    /// Certificates to trust instead of the machine's: a PEM file.
    pub certificates: PathBuf,
    /// The proxy that the server itself goes through: `http://[USER:PASSWORD@]HOST:PORT`.
    pub proxy: Address,
    /// Hosts that are reached without it.
    pub no_proxy: Vec<String>,
    /// How long pip waits for an answer.
    pub timeout_seconds: u64,
    /// Settings of the machine's pip that builds do not take over, and why: each is noted in build logs.
    pub not_used: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            index_url: Address::new("https://pypi.org/simple"),
            extra_index_urls: Vec::new(),
            find_links: Vec::new(),
            no_index: false,
            trusted_hosts: Vec::new(),
            // Where PyPI, and most mirrors of it, keep the files that their index names.
            hosts: vec!["files.pythonhosted.org".to_owned()],
            certificates: PathBuf::new(),
            proxy: Address::default(),
            no_proxy: Vec::new(),
            timeout_seconds: 60,
            not_used: Vec::new(),
        }
    }
}

impl Config {
    /// The first thing in it that cannot be used, as key and fragment. Values are not quoted: they may hold
    /// credentials.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let indexes = std::iter::once(("index_url", &self.index_url))
            .chain(self.extra_index_urls.iter().map(|url| ("extra_index_urls", url)));
        for (key, url) in indexes {
            let good = url.is_empty() || url.web().is_some();
            good.then_some(()).ok_or((key, "it must be an http or https URL".to_owned()))?;
        }
        for link in &self.find_links {
            let good = link.web().is_some() || link.directory().is_some();
            let why = "it must hold http or https URLs and absolute directories";
            good.then_some(()).ok_or(("find_links", why.to_owned()))?;
        }
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
            assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
        };
        check(|_| {}, None);
        check(|c| c.index_url = Address::default(), None);
        check(|c| c.index_url = Address::new("ftp://u:hunter2@x/"), Some("index_url"));
        check(|c| c.extra_index_urls = vec![Address::new("u:hunter2@x")], Some("extra_index_urls"));
        check(|c| c.find_links = vec![Address::new("/srv/wheels")], None);
        check(|c| c.find_links = vec![Address::new("wheels")], Some("find_links"));
        check(|c| c.hosts = vec!["a:443".to_owned(), "b c".to_owned()], Some("hosts"));
        check(|c| c.proxy = Address::new("http://u:hunter2@proxy:3128"), None);
        check(|c| c.proxy = Address::new("socks5://u:hunter2@proxy:3128"), Some("proxy"));
    }
}
