//! What pip would do if the server's own user called it here: its environment and configuration files at the start.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Config,
    file::{self, FILE_BYTES_MAX, Sections},
};
use crate::packages::{Address, Lookup, way};

/// The settings that the environment and pip's files stand for. What cannot be used is noted in `not_used`.
pub fn found(variable: Lookup<'_>) -> Config {
    take(&options(variable, &read(variable)), variable)
}

/// pip's options by name, from whichever place wins: the environment, then `[install]`, then `[global]`; of files the
/// later one.
fn options(variable: Lookup<'_>, files: &[Sections]) -> BTreeMap<String, String> {
    const KNOWN: [&str; 12] = [
        "index-url",
        "pypi-url",
        "extra-index-url",
        "find-links",
        "no-index",
        "trusted-host",
        "cert",
        "client-cert",
        "proxy",
        "timeout",
        "default-timeout",
        "constraint",
    ];
    let mut options = BTreeMap::new();
    for section in ["global", "install"] {
        for keys in files.iter().filter_map(|file| file.get(section)) {
            let known = keys.iter().filter(|(key, _)| KNOWN.contains(&key.as_str()));
            options.extend(known.map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    for key in KNOWN {
        let name = format!("PIP_{}", key.to_ascii_uppercase().replace('-', "_"));
        if let Some(value) = variable(&name) {
            options.insert(key.to_owned(), value);
        }
    }
    options
}

/// The files that pip reads, the one that wins last.
fn read(variable: Lookup<'_>) -> Vec<Sections> {
    let named = variable("PIP_CONFIG_FILE");
    if named.as_deref() == Some("/dev/null") {
        return Vec::new();
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    let shared = variable("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
    paths.extend(std::env::split_paths(&shared).map(|folder| folder.join("pip/pip.conf")));
    paths.push("/etc/pip.conf".into());
    // A file that is named takes the place of the user's own.
    let named = named.map(PathBuf::from);
    if !named.as_deref().is_some_and(Path::exists)
        && let Some(home) = variable("HOME").map(PathBuf::from)
    {
        paths.push(home.join(".pip/pip.conf"));
        let own = variable("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
        paths.push(own.join("pip/pip.conf"));
    }
    paths.push("/usr/pip.conf".into());
    paths.extend(named);
    let text = |path: &PathBuf| std::fs::read_to_string(path).ok();
    let texts = paths.iter().filter(|path| path.is_file()).filter_map(text);
    texts.filter(|text| text.len() <= FILE_BYTES_MAX).map(|text| file::parse(&text)).collect()
}

fn take(options: &BTreeMap<String, String>, variable: Lookup<'_>) -> Config {
    let mut config = Config::default();
    let mut not_used = Vec::new();
    let option = |key: &str| options.get(key).map(|value| value.trim()).filter(|v| !v.is_empty());
    let several =
        |key: &str| -> Vec<&str> { option(key).unwrap_or_default().split_whitespace().collect() };
    let mut web = |key: &str, text: &str| {
        let address = Address::new(text);
        let good = address.web().is_some();
        if !good {
            not_used.push(format!("{key} holds what is not an http or https URL"));
        }
        good.then_some(address)
    };
    if let Some(url) = option("index-url").or_else(|| option("pypi-url")) {
        config.index_url = web("index-url", url).unwrap_or(config.index_url);
    }
    let extra = several("extra-index-url").into_iter();
    config.extra_index_urls = extra.filter_map(|url| web("extra-index-url", url)).collect();
    for link in several("find-links") {
        let address = Address::new(link);
        if address.web().is_some() || address.directory().is_some() {
            config.find_links.push(address);
        } else {
            not_used.push("find-links holds what is neither a URL nor an absolute path".to_owned());
        }
    }
    config.no_index =
        option("no-index").is_some_and(|v| !matches!(v, "0" | "false" | "no" | "off" | "n" | "f"));
    config.trusted_hosts = several("trusted-host").into_iter().map(str::to_owned).collect();
    let bundle = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"];
    let bundle = || bundle.iter().find_map(|name| variable(name));
    config.certificates =
        option("cert").map(str::to_owned).or_else(bundle).unwrap_or_default().into();
    let seconds = option("timeout").or_else(|| option("default-timeout"));
    if let Some(seconds) = seconds.and_then(|text| text.parse::<f64>().ok()) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped before"
        )]
        let seconds = seconds.clamp(1.0, 3600.0).ceil() as u64;
        config.timeout_seconds = seconds;
    }
    for key in ["client-cert", "constraint"] {
        if option(key).is_some() {
            not_used.push(format!("{key} names a file of the server's user"));
        }
    }
    config.proxy = way::proxy(option("proxy"), &config.index_url, variable, &mut not_used);
    config.no_proxy = way::bypass(None, variable);
    config.not_used = not_used;
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(variables: &[(&str, &str)], files: &[&str]) -> Config {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let files: Vec<Sections> = files.iter().map(|text| file::parse(text)).collect();
        take(&options(&lookup, &files), &lookup)
    }

    #[test]
    fn with_nothing_said_packages_come_from_pypi() {
        assert_eq!(found_in(&[], &[]), Config::default());
    }

    #[test]
    fn the_environment_wins_over_install_over_global_and_the_later_file_over_the_earlier() {
        let check = |variables: &[(&str, &str)], files: &[&str], expect: &str| {
            assert_eq!(found_in(variables, files).index_url, Address::new(expect));
        };
        let first = "[global]\nindex-url=https://a/\n[install]\nindex-url=https://b/\n";
        check(&[], &["[global]\nindex-url=https://a/"], "https://a/");
        check(
            &[],
            &["[global]\nindex-url=https://a/", "[global]\nindex-url=https://c/"],
            "https://c/",
        );
        check(&[], &[first, "[global]\nindex-url=https://c/"], "https://b/");
        check(&[("PIP_INDEX_URL", "https://e/")], &[first], "https://e/");
        check(&[("PIP_INDEX_URL", "not a url")], &[], "https://pypi.org/simple");
    }

    #[test]
    fn everything_that_bears_on_where_packages_come_from_is_taken_over_or_noted() {
        let config = found_in(
            &[
                ("PIP_EXTRA_INDEX_URL", "https://x/ https://y/"),
                ("PIP_FIND_LINKS", "/srv/wheels https://z/ relative"),
                ("PIP_TRUSTED_HOST", "x y:8080"),
                ("PIP_CERT", "/etc/ca.pem"),
                ("PIP_CLIENT_CERT", "/root/key.pem"),
                ("PIP_DEFAULT_TIMEOUT", "7.5"),
                ("SSL_CERT_FILE", "/other.pem"),
                ("HTTPS_PROXY", "http://upper:1"),
                ("https_proxy", "http://lower:1"),
                ("NO_PROXY", "a.example, .b.example"),
            ],
            &["[global]\nno-index = yes\n"],
        );
        assert_eq!(
            config.extra_index_urls,
            [Address::new("https://x/"), Address::new("https://y/")]
        );
        assert_eq!(config.find_links, [Address::new("/srv/wheels"), Address::new("https://z/")]);
        assert_eq!(config.trusted_hosts, ["x", "y:8080"]);
        assert_eq!(config.certificates, PathBuf::from("/etc/ca.pem"));
        assert_eq!(config.timeout_seconds, 8);
        assert_eq!(config.proxy, Address::new("http://lower:1"));
        assert_eq!(config.no_proxy, ["a.example", ".b.example"]);
        assert!(config.no_index);
        assert_eq!(config.not_used.len(), 2, "{:?}", config.not_used);
        config.check().unwrap();
    }

    #[test]
    fn the_proxy_is_the_one_for_the_index() {
        let both = [("http_proxy", "http://plain:1"), ("https_proxy", "http://tls:1")];
        assert_eq!(found_in(&both, &[]).proxy, Address::new("http://tls:1"));
        let plain = ["[global]\nindex-url=http://index/\n"];
        assert_eq!(found_in(&both, &plain).proxy, Address::new("http://plain:1"));
        let own = ["[global]\nproxy=own:1\n"];
        assert_eq!(found_in(&both, &own).proxy, Address::new("own:1"));
        let socks = found_in(&[("ALL_PROXY", "socks5://s:1")], &[]);
        assert!(socks.proxy.is_empty() && socks.not_used.len() == 1);
    }

    #[test]
    fn the_users_file_is_read_and_a_named_one_takes_its_place() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/pip");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("pip.conf"), "[global]\nindex-url=https://mine/\n").unwrap();
        let named = home.path().join("named.conf");
        std::fs::write(&named, "[global]\nindex-url=https://named/\n").unwrap();
        let (home, named) = (home.path().to_str().unwrap(), named.to_str().unwrap());
        let check = |named: Option<&str>, expect: &str| {
            let lookup = |name: &str| match name {
                "HOME" => Some(home.to_owned()),
                "PIP_CONFIG_FILE" => named.map(str::to_owned),
                _ => None,
            };
            assert_eq!(found(&lookup).index_url, Address::new(expect), "{named:?}");
        };
        check(None, "https://mine/");
        check(Some(named), "https://named/");
        check(Some("/nowhere"), "https://mine/");
        check(Some("/dev/null"), "https://pypi.org/simple");
    }
}
