//! What comes of the settings of a tool: how it is called, what the proxy admits, and what people have to know.

use std::{path::Path, sync::Arc};

use dispatch_runtime::build::PackageSettings;

use super::address::{Address, Web};
use crate::proxy::{self, Rules, Upstream, canonical_host};

const CERTIFICATES_BYTES_MAX: u64 = 4 << 20;

/// How images get the packages of one tool.
#[derive(Clone, Default)]
pub struct Plan {
    /// Without the endpoint and the proxy's URL, which each build has for itself.
    pub settings: PackageSettings,
    pub rules: Arc<Rules>,
    /// Lines for every build log: what is set and not used, and why.
    pub notes: Vec<String>,
    /// What must not be read in a build's log.
    pub secrets: Vec<String>,
}

impl std::fmt::Debug for Plan {
    /// Without the environment and the secrets: they hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("rules", &self.rules)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// Lets builds reach the host; gives the URL that the tool is told.
    ///
    /// Of a plain host the proxy adds user and password, and the tool does not learn them. With TLS they lie inside the
    /// tunnel, so the tool has to know them, and with it the code of packages that are built.
    pub(super) fn admit(&mut self, rules: &mut Rules, web: Web) -> String {
        let Web { host, port, plain, authorization, whole, bare, secrets } = web;
        self.secrets.extend(secrets);
        let url = if plain { bare } else { whole.text().to_owned() };
        let authorization = authorization.filter(|_| plain);
        let known = proxy::Host { name: host, port, plain, authorization };
        if !rules.hosts.contains(&known) {
            rules.hosts.push(known);
        }
        url
    }

    /// A host that is reached with TLS besides those that URLs name.
    pub(super) fn admit_hosts(&self, rules: &mut Rules, hosts: &[String]) {
        for (name, port) in hosts.iter().filter_map(|host| host_and_port(host)) {
            rules.hosts.push(proxy::Host { name, port, plain: false, authorization: None });
        }
    }

    /// Through this proxy, but not to those hosts.
    pub(super) fn go_through(&mut self, rules: &mut Rules, address: &Address, bypass: &[String]) {
        let Some(web) = address.proxy() else { return };
        self.secrets.extend(web.secrets);
        let (host, port, authorization) = (web.host, web.port, web.authorization);
        rules.upstream = Some(Upstream { host, port, authorization, bypass: bypass.to_vec() });
    }

    /// The certificates to trust instead of the machine's.
    pub(super) fn trust(&mut self, tool: &str, path: &Path) {
        match certificates(path) {
            Ok(pem) => self.settings.certificates = pem,
            Err(why) => self.notes.push(format!(
                "{tool}'s certificates {} are not used, but the machine's: {why}",
                path.display()
            )),
        }
    }

    pub(super) fn finish(mut self, rules: Rules) -> Self {
        // The longest first, so that what holds another is hidden whole.
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self.secrets.dedup();
        self.rules = Arc::new(rules);
        self
    }

    /// A line of a build, without what nobody may read.
    pub fn redact(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for secret in &self.secrets {
            line = line.replace(secret.as_str(), "<redacted>");
        }
        line
    }
}

fn certificates(path: &Path) -> Result<Option<Vec<u8>>, String> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() || meta.len() > CERTIFICATES_BYTES_MAX {
        return Err("it is not a file of at most 4 MiB".to_owned());
    }
    std::fs::read(path).map(Some).map_err(|error| error.to_string())
}

/// `HOST` or `HOST:PORT`.
pub(super) fn host_and_port(text: &str) -> Option<(String, u16)> {
    let literal = text.parse::<std::net::IpAddr>().is_ok();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !literal && !text.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, 443),
    };
    Some((canonical_host(host)?, port)).filter(|(_, port)| *port != 0)
}

pub(super) fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_have_a_port() {
        let check = |text: &str, expect: Option<(&str, u16)>| {
            let expect = expect.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(host_and_port(text), expect, "{text}");
        };
        check("a.example", Some(("a.example", 443)));
        check("A.example:8443", Some(("a.example", 8443)));
        check("::1", Some(("::1", 443)));
        check("[::1]", Some(("::1", 443)));
        check("[::1]:8443", Some(("::1", 8443)));
        check("a.example:0", None);
        check("a.example:x", None);
        check("", None);
    }
}
