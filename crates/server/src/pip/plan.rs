//! What comes of the settings: how pip is called, what the proxy admits, and what people have to know.

use std::path::{Path, PathBuf};

use dispatch_runtime::build::PipSettings;

use super::{Config, address::Web};
use crate::proxy::{self, Rules, Upstream, canonical_host};

/// Where directories of this machine are found in a build.
const LINKS: &str = "/build/links";
const CERTIFICATES_BYTES_MAX: u64 = 4 << 20;

/// How images get their Python packages on this server. Made once, at its start.
#[derive(Clone, Default)]
pub struct Plan {
    /// Without the endpoint and the proxy's URL, which each build has for itself.
    pub settings: PipSettings,
    pub rules: Rules,
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
    /// Reads the certificates and looks whether directories are there; nothing else of the machine.
    pub fn new(config: &Config) -> Self {
        let mut plan = Self {
            notes: config
                .not_used
                .iter()
                .map(|why| format!("pip's setting is not used: {why}"))
                .collect(),
            ..Self::default()
        };
        let mut environment = vec![
            // Whatever pip would read of this machine has been read, and stands here.
            pair("PIP_CONFIG_FILE", "/dev/null"),
            pair("PIP_DEFAULT_TIMEOUT", config.timeout_seconds.to_string()),
            // What the proxy refuses it refuses again.
            pair("PIP_RETRIES", "2"),
        ];
        if config.no_index {
            environment.push(pair("PIP_NO_INDEX", "1"));
        } else {
            let index = config.index_url.web();
            environment.extend(index.map(|web| pair("PIP_INDEX_URL", plan.admit(web))));
            let extra = config.extra_index_urls.iter().filter_map(super::Address::web);
            let extra: Vec<String> = extra.map(|web| plan.admit(web)).collect();
            environment
                .extend((!extra.is_empty()).then(|| pair("PIP_EXTRA_INDEX_URL", extra.join(" "))));
            for host in &config.hosts {
                let Some((name, port)) = host_and_port(host) else { continue };
                plan.rules.hosts.push(proxy::Host {
                    name,
                    port,
                    plain: false,
                    authorization: None,
                });
            }
        }
        let links = plan.links(config);
        environment.extend((!links.is_empty()).then(|| pair("PIP_FIND_LINKS", links.join(" "))));
        let trusted = config.trusted_hosts.join(" ");
        environment.extend((!trusted.is_empty()).then(|| pair("PIP_TRUSTED_HOST", trusted)));
        plan.settings.certificates = plan.certificates(&config.certificates);
        plan.settings.environment = environment;
        if let Some(web) = config.proxy.proxy() {
            plan.secrets.extend(web.secrets);
            let bypass = config.no_proxy.clone();
            let (host, port, authorization) = (web.host, web.port, web.authorization);
            plan.rules.upstream = Some(Upstream { host, port, authorization, bypass });
        }
        // The longest first, so that what holds another is hidden whole.
        plan.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        plan.secrets.dedup();
        plan
    }

    /// Lets builds reach the host; gives the URL that pip is told.
    ///
    /// Of a plain host the proxy adds user and password, and pip does not learn them. With TLS they lie inside the
    /// tunnel, so pip has to know them, and with it the code of packages that are built.
    fn admit(&mut self, web: Web) -> String {
        let Web { host, port, plain, authorization, whole, bare, secrets } = web;
        self.secrets.extend(secrets);
        let url = if plain { bare } else { whole.text().to_owned() };
        let authorization = authorization.filter(|_| plain);
        let known = proxy::Host { name: host, port, plain, authorization };
        if !self.rules.hosts.contains(&known) {
            self.rules.hosts.push(known);
        }
        url
    }

    fn links(&mut self, config: &Config) -> Vec<String> {
        let mut links = Vec::new();
        for link in &config.find_links {
            if let Some(web) = link.web() {
                links.push(self.admit(web));
                continue;
            }
            let Some(path) = link.directory() else { continue };
            match usable(&path) {
                Ok(real) => {
                    let inside = format!("{LINKS}/{}", self.settings.mounts.len());
                    self.settings.mounts.push((real, PathBuf::from(&inside)));
                    links.push(inside);
                }
                Err(why) => {
                    let path = path.display();
                    self.notes
                        .push(format!("pip's find-links directory {path} is not used: {why}"));
                }
            }
        }
        links
    }

    fn certificates(&mut self, path: &Path) -> Option<Vec<u8>> {
        if path.as_os_str().is_empty() {
            return None;
        }
        let small =
            |meta: &std::fs::Metadata| meta.is_file() && meta.len() <= CERTIFICATES_BYTES_MAX;
        let why = match std::fs::metadata(path) {
            Ok(meta) if small(&meta) => match std::fs::read(path) {
                Ok(pem) => return Some(pem),
                Err(error) => error.to_string(),
            },
            Ok(_) => "it is not a file of at most 4 MiB".to_owned(),
            Err(error) => error.to_string(),
        };
        let path = path.display();
        self.notes
            .push(format!("pip's certificates {path} are not used, but the machine's: {why}"));
        None
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

/// The directories of this machine that builds will mount: the spawner has to be told at its start.
pub fn directories(config: &Config) -> Vec<PathBuf> {
    let paths = config.find_links.iter().filter(|link| link.web().is_none());
    paths.filter_map(|link| usable(&link.directory()?).ok()).collect()
}

/// The directory itself, if builds of anybody may read all of it.
fn usable(path: &Path) -> Result<PathBuf, String> {
    const NEVER: [&str; 6] = ["/proc", "/sys", "/dev", "/run", "/etc", "/boot"];
    let real = path.canonicalize().map_err(|error| error.to_string())?;
    if !real.is_dir() {
        return Err("it is not a directory".to_owned());
    }
    let wide = real.components().count() < 3 || real == Path::new("/var/lib");
    if wide || NEVER.iter().any(|never| real.starts_with(never)) {
        return Err("it holds too much of the machine to be shown to builds".to_owned());
    }
    Ok(real)
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

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

#[cfg(test)]
mod tests {
    use super::super::Address;
    use super::*;

    fn variable<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
        let found = plan.settings.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn hosts(plan: &Plan) -> Vec<String> {
        let show = |host: &proxy::Host| {
            let scheme = if host.plain { "http" } else { "https" };
            format!("{scheme}://{}:{}", host.name, host.port)
        };
        plan.rules.hosts.iter().map(show).collect()
    }

    #[test]
    fn by_default_builds_reach_pypi_and_its_files_and_nothing_else() {
        let plan = Plan::new(&Config::default());
        assert_eq!(hosts(&plan), ["https://pypi.org:443", "https://files.pythonhosted.org:443"]);
        assert_eq!(variable(&plan, "PIP_INDEX_URL"), Some("https://pypi.org/simple"));
        assert_eq!(variable(&plan, "PIP_CONFIG_FILE"), Some("/dev/null"));
        assert_eq!((plan.rules.upstream.is_none(), plan.notes.len()), (true, 0));
    }

    #[test]
    fn credentials_reach_a_build_only_inside_a_tunnel() {
        let plan = Plan::new(&Config {
            index_url: Address::new("http://me:hunter2@plain.example:8081/simple"),
            extra_index_urls: vec![Address::new("https://tok3n@tls.example/simple")],
            proxy: Address::new("http://us:pr0xy@proxy.example:3128"),
            hosts: Vec::new(),
            ..Config::default()
        });
        assert_eq!(hosts(&plan), ["http://plain.example:8081", "https://tls.example:443"]);
        assert_eq!(variable(&plan, "PIP_INDEX_URL"), Some("http://plain.example:8081/simple"));
        let tls = "https://tok3n@tls.example/simple";
        assert_eq!(variable(&plan, "PIP_EXTRA_INDEX_URL"), Some(tls));
        let known = |host: &proxy::Host| host.authorization.is_some();
        assert_eq!(plan.rules.hosts.iter().map(known).collect::<Vec<_>>(), [true, false]);
        let upstream = plan.rules.upstream.as_ref().unwrap();
        assert_eq!(
            (upstream.host.as_str(), upstream.authorization.is_some()),
            ("proxy.example", true)
        );
        let line = "hunter2 at tok3n of pr0xy";
        assert_eq!(plan.redact(line), "<redacted> at <redacted> of <redacted>");
    }

    #[test]
    fn local_paths_are_mounted_or_noted() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let certificates = real.join("ca.pem");
        std::fs::write(&certificates, "pem").unwrap();
        let mut config = Config {
            find_links: vec![
                Address::new(real.to_str().unwrap()),
                Address::new("/nowhere/at/all"),
                Address::new("/usr"),
                Address::new("/etc/ssl"),
                Address::new("https://links.example/"),
            ],
            certificates: certificates.clone(),
            ..Config::default()
        };
        let plan = Plan::new(&config);
        assert_eq!(plan.settings.mounts, [(real.clone(), PathBuf::from("/build/links/0"))]);
        assert_eq!(
            variable(&plan, "PIP_FIND_LINKS"),
            Some("/build/links/0 https://links.example/")
        );
        assert_eq!(plan.settings.certificates.as_deref(), Some(b"pem".as_slice()));
        assert_eq!(plan.notes.len(), 3, "{:?}", plan.notes);
        assert_eq!(directories(&config), [real]);

        config.certificates = "/nowhere.pem".into();
        let plan = Plan::new(&config);
        assert_eq!((plan.settings.certificates.is_none(), plan.notes.len()), (true, 4));
    }

    #[test]
    fn without_an_index_only_links_are_reached() {
        let links = vec![Address::new("https://links.example:8443/")];
        let plan = Plan::new(&Config { no_index: true, find_links: links, ..Config::default() });
        assert_eq!(hosts(&plan), ["https://links.example:8443"]);
        assert_eq!(variable(&plan, "PIP_NO_INDEX"), Some("1"));
        assert_eq!(variable(&plan, "PIP_INDEX_URL"), None);
    }

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
