//! What npm would do if the server's own user called it here: its environment and configuration files at the start.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Config, Line};
use crate::packages::{Address, Lookup, way};

/// Longer files are not npm's.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The settings that the environment and npm's files stand for. What cannot be used is noted in `not_used`.
pub fn found(variable: Lookup<'_>) -> Config {
    let texts = paths(variable).into_iter().filter_map(|path| {
        let meta = std::fs::metadata(&path).ok().filter(|meta| meta.len() <= FILE_BYTES_MAX)?;
        meta.is_file().then(|| std::fs::read_to_string(&path).ok()).flatten()
    });
    take(&options(variable, &texts.collect::<Vec<_>>()), variable)
}

/// npm's files, the one that wins last.
fn paths(variable: Lookup<'_>) -> Vec<PathBuf> {
    let named = |name: &str| environment(variable, name).map(PathBuf::from);
    let own = || variable("HOME").map(|home| PathBuf::from(home).join(".npmrc"));
    let global = named("globalconfig").map_or_else(
        || vec![PathBuf::from("/usr/etc/npmrc"), PathBuf::from("/etc/npmrc")],
        |named| vec![named],
    );
    global.into_iter().chain(named("userconfig").or_else(own)).collect()
}

/// `npm_config_NAME`, in whichever case.
fn environment(variable: Lookup<'_>, name: &str) -> Option<String> {
    let upper = format!("NPM_CONFIG_{}", name.to_ascii_uppercase());
    variable(&format!("npm_config_{name}")).or_else(|| variable(&upper))
}

/// npm's options by name: the environment over files, the later file over the earlier.
fn options(variable: Lookup<'_>, files: &[String]) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    for line in files.iter().flat_map(|text| text.lines()) {
        let line = line.trim();
        if line.starts_with(['#', ';', '[']) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        options.insert(key.trim().to_owned(), expanded(value, variable));
    }
    for key in ["registry", "cafile", "proxy", "https-proxy", "noproxy", "strict-ssl"] {
        if let Some(value) = environment(variable, &key.replace('-', "_")) {
            options.insert(key.to_owned(), value);
        }
    }
    options
}

/// `${NAME}` is the variable's value, and stays as it is where there is no such variable.
fn expanded(text: &str, variable: Lookup<'_>) -> String {
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else { break };
        done.push_str(before);
        done.push_str(&variable(name).unwrap_or_else(|| format!("${{{name}}}")));
        rest = behind;
    }
    done + rest
}

fn take(options: &BTreeMap<String, String>, variable: Lookup<'_>) -> Config {
    let mut config = Config::default();
    let option = |key: &str| options.get(key).map(String::as_str).filter(|value| !value.is_empty());
    if let Some(url) = option("registry") {
        let registry = Address::new(url);
        match registry.web() {
            Some(_) => config.registry = registry,
            None => config.not_used.push("registry is not an http or https URL".to_owned()),
        }
    }
    for (key, value) in options {
        take_line(&mut config, key, value);
    }
    config.strict_ssl = option("strict-ssl") != Some("false");
    let bundle = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"];
    let bundle = || bundle.iter().find_map(|name| variable(name));
    config.certificates =
        option("cafile").map(str::to_owned).or_else(bundle).unwrap_or_default().into();
    let proxy = option("https-proxy").or_else(|| option("proxy"));
    config.proxy = way::proxy(proxy, &config.registry, variable, &mut config.not_used);
    config.no_proxy = way::bypass(option("noproxy"), variable);
    config
}

/// Options that are many: scopes, credentials, and what builds do not know.
fn take_line(config: &mut Config, key: &str, value: &str) {
    let line = Line::new(key, value);
    let unknown = ["cert", "key", "certfile", "keyfile", "ca", "ca[]"];
    if line.scope().is_some() {
        config.scopes.push(line);
    } else if line.credential().is_some() {
        config.credentials.push(line);
    } else if key.starts_with('@') {
        config.not_used.push(format!("{key} is not an http or https URL"));
    } else if unknown.contains(&key) || key.starts_with("//") {
        config.not_used.push(format!("{key} is not known to builds"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(variables: &[(&str, &str)], files: &[&str]) -> Config {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let files: Vec<String> = files.iter().map(|text| (*text).to_owned()).collect();
        take(&options(&lookup, &files), &lookup)
    }

    #[test]
    fn with_nothing_said_packages_come_from_the_public_registry() {
        assert_eq!(found_in(&[], &[]), Config::default());
    }

    #[test]
    fn the_environment_wins_over_files_and_the_later_file_over_the_earlier() {
        let check = |variables: &[(&str, &str)], files: &[&str], expect: &str| {
            assert_eq!(found_in(variables, files).registry, Address::new(expect));
        };
        let (a, b) = ("registry=https://a/\n", "; x\nregistry = \"https://b/\"\n");
        check(&[], &[a], "https://a/");
        check(&[], &[a, b], "https://b/");
        check(&[("npm_config_registry", "https://e/")], &[a], "https://e/");
        check(&[("NPM_CONFIG_REGISTRY", "https://e/")], &[a], "https://e/");
        let mirror = [("MIRROR", "m.example")];
        check(&mirror, &["registry=https://${MIRROR}/npm/"], "https://m.example/npm/");
        check(&[], &["registry=nothing"], "https://registry.npmjs.org/");
    }

    #[test]
    fn everything_that_bears_on_where_packages_come_from_is_taken_over_or_noted() {
        let file = "@own:registry=https://own.example/\n//own.example/:_authToken=${TOKEN}\n\
                    //own.example/:certfile=/x\nstrict-ssl=false\ncafile=/etc/ca.pem\nkey=abc\n\
                    @bad:registry=x\n";
        let variables = [("TOKEN", "t0ken"), ("HTTPS_PROXY", "proxy:3128"), ("NO_PROXY", "a,b")];
        let config = found_in(&variables, &[file]);
        assert_eq!(config.scopes, [Line::new("@own:registry", "https://own.example/")]);
        assert_eq!(config.credentials, [Line::new("//own.example/:_authToken", "t0ken")]);
        assert_eq!(config.certificates, PathBuf::from("/etc/ca.pem"));
        assert_eq!((config.strict_ssl, config.proxy), (false, Address::new("proxy:3128")));
        assert_eq!(config.no_proxy, ["a", "b"]);
        assert_eq!(
            config.not_used,
            [
                "//own.example/:certfile is not known to builds",
                "@bad:registry is not an http or https URL",
                "key is not known to builds"
            ]
        );
    }
}
