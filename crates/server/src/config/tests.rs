//! Settings put together, and what is wrong with them.

use std::path::PathBuf;

use super::*;

/// The faults come as they would be printed, without the directory of the file.
fn load(file: &str, environment: &[(&str, &str)]) -> Result<Resolved, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.toml");
    std::fs::write(&path, file).unwrap();
    let mut given = Given::new(Settings::default());
    given.file(&path).unwrap();
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    given.variables(environment.iter().map(pair));
    let place = format!("{}/", directory.path().display());
    given.finish().map_err(|error| error.to_string().replace(&place, ""))
}

fn settings(file: &str, environment: &[(&str, &str)]) -> Settings {
    load(file, environment).unwrap().settings
}

fn refused(file: &str, environment: &[(&str, &str)], expect: &[&str]) {
    let faults = load(file, environment).unwrap_err();
    assert_eq!(faults.lines().collect::<Vec<_>>(), expect, "{file}");
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file = "listen = \"127.0.0.1:1\"\nskip_auth = true";
    let settings = settings(file, &[("DISPATCH_SERVER_LISTEN", "127.0.0.1:2"), ("HOME", "/x")]);
    assert_eq!(settings.listen.port(), 2);
    assert!(settings.skip_auth);
    assert_eq!(settings.gateway_listen.port(), 8081);
}

#[test]
fn every_fault_is_told_at_once_with_its_line_and_what_may_be_meant() {
    let file =
        "listne = 1\nlisten = \"127.0.0.1\"\n\n[build.pip]\nno_index = \"yes\"\nindex_uri = 1\n";
    let expect = [
        "server.toml:1: unknown key listne; did you mean listen?",
        "server.toml:2: listen must be an address and a port, such as \"127.0.0.1:8080\"",
        "server.toml:5: build.pip.no_index must be true or false",
        "server.toml:6: unknown key build.pip.index_uri; did you mean build.pip.index_url?",
        "DISPATCH_SERVER_SKIP_AUHT: unknown variable; did you mean DISPATCH_SERVER_SKIP_AUTH?",
        "DISPATCH_SERVER_STOP_TIMEOUT_MS: stop_timeout_ms must be a whole number from 0 on",
    ];
    let variables =
        [("DISPATCH_SERVER_SKIP_AUHT", "true"), ("DISPATCH_SERVER_STOP_TIMEOUT_MS", "-1")];
    refused(file, &variables, &expect);
}

#[test]
fn a_key_in_the_wrong_place_and_one_that_resembles_nothing_are_told_what_there_is() {
    refused(
        "index_url = \"x\"",
        &[],
        &["server.toml:1: unknown key index_url; did you mean build.pip.index_url?"],
    );
    refused(
        "[build]\ncolour = 1",
        &[],
        &["server.toml:2: unknown key build.colour; there are build.npm, build.pip"],
    );
    refused(
        "[build.nmp]\nx = 1",
        &[],
        &["server.toml:1: unknown key build.nmp; did you mean build.npm?"],
    );
    refused("build = 5", &[], &["server.toml:1: build must be a table: [build]"]);
    refused("data = 2026-11-20", &[], &["server.toml:1: data must be text in quotes"]);
    refused(
        "",
        &[("DISPATCH_SERVER_BUILD_PIP_HOST", "x")],
        &[
            "DISPATCH_SERVER_BUILD_PIP_HOST: unknown variable; did you mean DISPATCH_SERVER_BUILD_PIP_HOSTS?",
        ],
    );
}

#[test]
fn tables_are_put_over_tables_and_variables_reach_into_them() {
    let file = "[build.pip]\nindex_url = \"https://a/simple\"\nhosts = [\"b\"]\n";
    let variables = [
        ("DISPATCH_SERVER_BUILD_PIP_HOSTS", "c d:8443"),
        ("DISPATCH_SERVER_BUILD_PIP_PROXY", "proxy:3128"),
        ("DISPATCH_SERVER_BUILD_PIP_TIMEOUT_SECONDS", "5"),
        ("DISPATCH_SERVER_BUILD_PIP_CERTIFICATES", "1"),
    ];
    let pip = settings(file, &variables).build.pip;
    assert_eq!(pip.index_url, crate::packages::Address::new("https://a/simple"));
    assert_eq!(pip.hosts, ["c", "d:8443"]);
    assert_eq!((pip.timeout_seconds, pip.no_index), (5, false));
    assert_eq!(pip.certificates, PathBuf::from("1"));
}

#[test]
fn values_are_never_quoted() {
    let check = |file: &str, expect: &[&str]| {
        refused(file, &[], expect);
        assert!(!load(file, &[]).unwrap_err().contains("hunter2"));
    };
    let unfinished = "\n[build.pip]\nindex_url = \"https://me:hunter2@index/\n";
    let said = load(unfinished, &[]).unwrap_err();
    assert!(said.starts_with("server.toml:3: ") && !said.contains("hunter2"), "{said}");
    check(
        "[build.pip]\nproxy = \"https://me:hunter2@x:1\"",
        &[
            "server.toml:2: build.pip.proxy: it must be http://[USER:PASSWORD@]HOST:PORT; other kinds of proxy are not known",
        ],
    );
    check(
        "[build.pip]\nextra_index_urls = \"https://me:hunter2@x\"",
        &["server.toml:2: build.pip.extra_index_urls must be a list, such as [\"a\", \"b\"]"],
    );
}

#[test]
fn an_open_address_must_be_meant_and_two_listeners_need_two_ports() {
    refused(
        "\nlisten = \"0.0.0.0:80\"",
        &[],
        &[
            "server.toml:2: listen: 0.0.0.0:80 is not a loopback address, and the connection is not encrypted: use a TLS proxy in front, or say insecure_listen = true",
        ],
    );
    assert!(load("listen = \"0.0.0.0:80\"\ninsecure_listen = true", &[]).is_ok());
    refused(
        "gateway_tls_listen = \"127.0.0.1:8080\"",
        &[],
        &["server.toml:1: gateway_tls_listen: 127.0.0.1:8080 is the address of listen already"],
    );
    refused(
        "listen = \"127.0.0.1:8081\"",
        &[],
        &["server.toml:1: gateway_listen: 127.0.0.1:8081 is the address of listen already"],
    );
    let free = "listen = \"127.0.0.1:0\"\ngateway_listen = \"127.0.0.1:0\"";
    assert!(load(free, &[]).is_ok());
}

#[test]
fn what_is_shown_names_the_source_of_each_and_no_credential() {
    let file = "\nlog = \"warn\"\n[build.npm]\ncredentials = [\"//r/:_authToken=hunter2\"]\n\
                registry = \"https://me:hunter2@r/\"\n";
    let resolved = load(file, &[("DISPATCH_SERVER_DATA", "/d")]).unwrap();
    let shown = resolved.shown();
    let check = |key: &str, value: &str, source: &str| {
        let (_, text, place) = shown.iter().find(|(known, ..)| known == key).unwrap();
        let place = place.to_string();
        let place = place.rsplit('/').next().unwrap();
        assert_eq!((text.as_str(), place), (value, source), "{key}");
    };
    check("log", "\"warn\"", "server.toml:2");
    check("data", "\"/d\"", "DISPATCH_SERVER_DATA");
    check("skip_auth", "false", "default");
    check("build.npm.credentials", "[\"//r/:_authToken\"]", "server.toml:4");
    check("build.npm.registry", "\"https://r/\"", "server.toml:5");
    assert!(!format!("{shown:?}").contains("hunter2"));
    assert!(shown.iter().any(|(key, ..)| key == "build.pip.timeout_seconds"));
}

/// The file that packages install. A line that begins with "#" and a key is a setting; one with "# " explains.
const PACKAGED: &str = include_str!("../../../../packaging/server.toml");

#[test]
fn the_packaged_file_names_every_setting_with_its_default() {
    let uncommented = PACKAGED.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    });
    let text = uncommented.collect::<Vec<_>>().join("\n");
    let mut named: toml::Table = text.parse().unwrap();
    // The one line that is there, and says something else than the default.
    let login = named.insert("client_config".to_owned(), String::new().into());
    assert_eq!(login, Some("/etc/dispatch/admin.json".into()));
    assert_eq!(named, toml::Table::try_from(Settings::default()).unwrap());
    let client_config = PathBuf::from("/etc/dispatch/admin.json");
    assert_eq!(settings(PACKAGED, &[]), Settings { client_config, ..Settings::default() });
}

#[test]
fn the_packaged_file_explains_every_setting() {
    let mut explained = false;
    for line in PACKAGED.lines() {
        // What follows an explanation shares it, to the next empty line; in a table, to its end.
        explained = line.starts_with("# ") || (explained && !line.is_empty());
        assert!(explained || line.is_empty(), "{line}");
    }
}
