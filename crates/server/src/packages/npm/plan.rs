//! What comes of npm's settings.

use super::{Config, Line};
use crate::{
    packages::{Plan, plan::pair},
    proxy::Rules,
};

/// Of credentials, what nobody may read.
const SECRET: [&str; 3] = [":_authToken", ":_auth", ":_password"];
/// A part of the memory that builds have: V8 would take its heap's size from the machine.
const HEAP_MIB: u64 = 768;

pub fn plan(config: &Config) -> Plan {
    let mut rules = Rules { settings: "build.npm", ..Rules::default() };
    let not_used = config.not_used.iter();
    let mut plan = Plan {
        notes: not_used.map(|why| format!("npm's setting is not used: {why}")).collect(),
        ..Plan::default()
    };
    let mut environment = vec![
        // Whatever npm would read of this machine has been read, and stands here.
        pair("npm_config_userconfig", "/dev/null"),
        pair("npm_config_globalconfig", "/build/input/none"),
        pair("npm_config_cache", "/build/tmp/npm"),
        // What the proxy refuses it refuses again.
        pair("npm_config_fetch_retries", "1"),
        pair("npm_config_fetch_retry_mintimeout", "500"),
        pair("NODE_OPTIONS", format!("--max-old-space-size={HEAP_MIB}")),
    ];
    if let Some(web) = config.registry.web() {
        environment.push(pair("npm_config_registry", plan.admit(&mut rules, web)));
    }
    for (key, address) in config.scopes.iter().filter_map(Line::scope) {
        let Some(web) = address.web() else { continue };
        environment.push((format!("npm_config_{key}"), plan.admit(&mut rules, web)));
    }
    for (key, value) in config.credentials.iter().filter_map(Line::credential) {
        if SECRET.iter().any(|kind| key.ends_with(kind)) {
            plan.secrets.push(value.to_owned());
        }
        environment.push((format!("npm_config_{key}"), value.to_owned()));
    }
    plan.admit_hosts(&mut rules, &config.hosts);
    if !config.strict_ssl {
        environment.push(pair("npm_config_strict_ssl", "false"));
    }
    plan.trust("npm", &config.certificates);
    plan.settings.environment = environment;
    plan.go_through(&mut rules, &config.proxy, &config.no_proxy);
    plan.finish(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::Address;

    fn variable<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
        let found = plan.settings.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn hosts(plan: &Plan) -> Vec<String> {
        let host = |host: &crate::proxy::Host| format!("{}:{}", host.name, host.port);
        plan.rules.hosts.iter().map(host).collect()
    }

    #[test]
    fn by_default_builds_reach_the_registry_and_nothing_else() {
        let plan = plan(&Config::default());
        assert_eq!(hosts(&plan), ["registry.npmjs.org:443"]);
        assert_eq!(variable(&plan, "npm_config_registry"), Some("https://registry.npmjs.org/"));
        assert_eq!(variable(&plan, "npm_config_userconfig"), Some("/dev/null"));
        assert_eq!((plan.rules.upstream.is_none(), plan.notes.len()), (true, 0));
    }

    #[test]
    fn scopes_have_registries_of_their_own_and_credentials_are_not_read_in_logs() {
        let plan = plan(&Config {
            registry: Address::new("http://me:hunter2@mirror:8080/npm/"),
            scopes: vec![Line::new("@own:registry", "https://own.example/")],
            credentials: vec![Line::new("//own.example/:_authToken", "t0ken")],
            hosts: vec!["tarballs.example".to_owned()],
            strict_ssl: false,
            proxy: Address::new("http://p:w0rd@proxy:3128"),
            ..Config::default()
        });
        assert_eq!(hosts(&plan), ["mirror:8080", "own.example:443", "tarballs.example:443"]);
        assert_eq!(variable(&plan, "npm_config_registry"), Some("http://mirror:8080/npm/"));
        let own = variable(&plan, "npm_config_@own:registry");
        assert_eq!(own, Some("https://own.example/"));
        let token = variable(&plan, "npm_config_//own.example/:_authToken");
        assert_eq!(token, Some("t0ken"));
        assert_eq!(variable(&plan, "npm_config_strict_ssl"), Some("false"));
        assert_eq!(plan.redact("t0ken hunter2 w0rd"), "<redacted> <redacted> <redacted>");
        assert_eq!(plan.rules.upstream.as_ref().unwrap().port, 3128);
        assert!(!format!("{plan:?}").contains("t0ken"));
    }
}
