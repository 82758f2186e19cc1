//! What comes of pip's settings.

use std::path::{Path, PathBuf};

use super::Config;
use crate::{
    packages::{Address, Plan, plan::pair},
    proxy::Rules,
};

/// Where directories of this machine are found in a build.
const LINKS: &str = "/build/links";

pub fn plan(config: &Config) -> Plan {
    let mut rules = Rules { settings: "build.pip", ..Rules::default() };
    let not_used = config.not_used.iter();
    let mut plan = Plan {
        notes: not_used.map(|why| format!("pip's setting is not used: {why}")).collect(),
        ..Plan::default()
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
        environment.extend(index.map(|web| pair("PIP_INDEX_URL", plan.admit(&mut rules, web))));
        let extra = config.extra_index_urls.iter().filter_map(Address::web);
        let extra: Vec<String> = extra.map(|web| plan.admit(&mut rules, web)).collect();
        environment
            .extend((!extra.is_empty()).then(|| pair("PIP_EXTRA_INDEX_URL", extra.join(" "))));
        plan.admit_hosts(&mut rules, &config.hosts);
    }
    let links = links(&mut plan, &mut rules, config);
    environment.extend((!links.is_empty()).then(|| pair("PIP_FIND_LINKS", links.join(" "))));
    let trusted = config.trusted_hosts.join(" ");
    environment.extend((!trusted.is_empty()).then(|| pair("PIP_TRUSTED_HOST", trusted)));
    plan.trust("pip", &config.certificates);
    plan.settings.environment = environment;
    plan.go_through(&mut rules, &config.proxy, &config.no_proxy);
    plan.finish(rules)
}

fn links(plan: &mut Plan, rules: &mut Rules, config: &Config) -> Vec<String> {
    let mut links = Vec::new();
    for link in &config.find_links {
        if let Some(web) = link.web() {
            links.push(plan.admit(rules, web));
            continue;
        }
        let Some(path) = link.directory() else { continue };
        match usable(&path) {
            Ok(real) => {
                let inside = format!("{LINKS}/{}", plan.settings.mounts.len());
                plan.settings.mounts.push((real, PathBuf::from(&inside)));
                links.push(inside);
            }
            Err(why) => {
                let path = path.display();
                plan.notes.push(format!("pip's find-links directory {path} is not used: {why}"));
            }
        }
    }
    links
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy;

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
        let plan = self::plan(&Config::default());
        assert_eq!(hosts(&plan), ["https://pypi.org:443", "https://files.pythonhosted.org:443"]);
        assert_eq!(variable(&plan, "PIP_INDEX_URL"), Some("https://pypi.org/simple"));
        assert_eq!(variable(&plan, "PIP_CONFIG_FILE"), Some("/dev/null"));
        assert_eq!((plan.rules.upstream.is_none(), plan.notes.len()), (true, 0));
    }

    #[test]
    fn credentials_reach_a_build_only_inside_a_tunnel() {
        let plan = self::plan(&Config {
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
        let plan = self::plan(&config);
        assert_eq!(plan.settings.mounts, [(real.clone(), PathBuf::from("/build/links/0"))]);
        assert_eq!(
            variable(&plan, "PIP_FIND_LINKS"),
            Some("/build/links/0 https://links.example/")
        );
        assert_eq!(plan.settings.certificates.as_deref(), Some(b"pem".as_slice()));
        assert_eq!(plan.notes.len(), 3, "{:?}", plan.notes);
        assert_eq!(directories(&config), [real]);

        config.certificates = "/nowhere.pem".into();
        let plan = self::plan(&config);
        assert_eq!((plan.settings.certificates.is_none(), plan.notes.len()), (true, 4));
    }

    #[test]
    fn without_an_index_only_links_are_reached() {
        let links = vec![Address::new("https://links.example:8443/")];
        let plan = self::plan(&Config { no_index: true, find_links: links, ..Config::default() });
        assert_eq!(hosts(&plan), ["https://links.example:8443"]);
        assert_eq!(variable(&plan, "PIP_NO_INDEX"), Some("1"));
        assert_eq!(variable(&plan, "PIP_INDEX_URL"), None);
    }
}
