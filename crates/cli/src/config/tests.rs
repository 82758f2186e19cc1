//! Tables: what wins over what, and which files are understood.

use std::collections::HashMap;

use super::*;

const CONTEXTS: &str = r#"{
    "current": "local",
    "contexts": {
        "local": {"host": "10.0.0.1", "port": 8080, "scheme": "http", "organization": "org", "cookie": "dk_1",
                  "insecure": true, "api-https-port": 8444, "future": {"x": 1}}
    },
    "theme": "dark"
}"#;
const FLAT: &str = r#"{"host": "192.168.64.55", "port": 32312, "scheme": "https", "organization": "dispatch",
    "cookie": "c", "insecure": true, "api-https-port": 32191, "api-http-port": 32023}"#;

fn settings(flags: &Flags, environment: &[(&str, &str)], file: &str) -> Settings {
    let map: HashMap<&str, &str> = environment.iter().copied().collect();
    let read = |name: &str| map.get(name).map(|value| (*value).to_owned());
    resolve(flags, &read, &ConfigFile::parse(file).unwrap()).unwrap()
}

#[test]
fn a_flag_wins_over_the_environment_over_the_context_over_the_default() {
    let check = |flags: &Flags, environment: &[(&str, &str)], file: &str, base: &str, org: &str| {
        let settings = settings(flags, environment, file);
        assert_eq!((settings.base.as_str(), settings.organization.as_str()), (base, org));
    };
    let none = Flags::default();
    let flags = Flags { port: Some(1), organization: Some("flag".into()), ..Flags::default() };
    let variables = [("DISPATCH_PORT", "2"), ("DISPATCH_ORGANIZATION", "env")];
    check(&none, &[], "{}", "https://localhost/", "");
    check(&none, &[], CONTEXTS, "http://10.0.0.1:8080/", "org");
    check(&none, &variables, CONTEXTS, "http://10.0.0.1:2/", "env");
    check(&flags, &variables, CONTEXTS, "http://10.0.0.1:1/", "flag");
    check(&none, &[("DISPATCH_ORGANIZATION", "")], CONTEXTS, "http://10.0.0.1:8080/", "org");
    check(&none, &[], FLAT, "https://192.168.64.55:32312/", "dispatch");
    check(&none, &[("DISPATCH_HOST", "::1")], CONTEXTS, "http://[::1]:8080/", "org");
    let empty = Flags { organization: Some(String::new()), ..Flags::default() };
    check(&empty, &[], CONTEXTS, "http://10.0.0.1:8080/", "");
}

#[test]
fn false_wins_over_what_comes_after_it() {
    let check = |flag: Option<bool>, variable: &str, insecure: bool, json: bool| {
        let flags = Flags { insecure: flag, json: flag, ..Flags::default() };
        let environment = [("DISPATCH_INSECURE", variable), ("DISPATCH_JSON", variable)];
        assert_eq!(
            settings(&flags, &environment, CONTEXTS).insecure,
            insecure,
            "{flag:?} {variable}"
        );
        let read = |_: &str| Some(variable.to_owned());
        assert_eq!(format(&flags, &read) == Format::Json, json, "{flag:?} {variable}");
    };
    check(None, "", true, false);
    check(None, "0", false, false);
    check(None, "T", true, true);
    check(None, "yes", false, false);
    check(Some(false), "1", false, false);
    check(Some(true), "false", true, true);
}

#[test]
fn a_token_wins_over_a_service_account_over_a_cookie() {
    let check = |environment: &[(&str, &str)], file: &str, expect: Credentials| {
        assert!(settings(&Flags::default(), environment, file).credentials == expect);
    };
    let account = [("DISPATCH_SERVICE_ACCOUNT", "ci"), ("DISPATCH_JWT_PRIVATE_KEY", "/k")];
    let both = [account[0], account[1], ("DISPATCH_TOKEN", "t")];
    check(&[], "{}", Credentials::Cookie("unset".into()));
    check(&[], CONTEXTS, Credentials::Cookie("dk_1".into()));
    check(&account[..1], CONTEXTS, Credentials::Cookie("dk_1".into()));
    check(&account, CONTEXTS, Credentials::ServiceAccount { name: "ci".into(), key: "/k".into() });
    check(&both, CONTEXTS, Credentials::Token("t".into()));
}

#[test]
fn what_cannot_be_a_server_is_refused() {
    let check = |environment: &[(&str, &str)], expect: &str| {
        let map: HashMap<&str, &str> = environment.iter().copied().collect();
        let read = |name: &str| map.get(name).map(|value| (*value).to_owned());
        let error = resolve(&Flags::default(), &read, &ConfigFile::default()).unwrap_err();
        assert_eq!(error.text(), format!("{expect}\n"));
    };
    check(&[("DISPATCH_PORT", "http")], "DISPATCH_PORT is not a port: \"http\"");
    check(&[("DISPATCH_PORT", "65536")], "DISPATCH_PORT is not a port: \"65536\"");
    check(&[("DISPATCH_SCHEME", "ftp")], "scheme \"ftp\" is neither http nor https");
    check(&[("DISPATCH_HOST", "a/b")], "host \"a/b\" is not a host name or address");
    check(&[("DISPATCH_HOST", "u@h")], "host \"u@h\" is not a host name or address");
}

#[test]
fn a_file_is_written_for_its_owner_only_and_keeps_what_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/config.json");
    let file = ConfigFile::parse(CONTEXTS).unwrap();
    file.write(&path).unwrap();
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(ConfigFile::read(&path, true).unwrap(), file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\n            \"future\": {\n"), "{text}");
    assert!(text.contains("\n    \"theme\": \"dark\""), "{text}");
}

#[test]
fn a_missing_file_is_an_error_only_when_it_was_named() {
    let nowhere = std::path::Path::new("/nonexistent/config.json");
    assert_eq!(ConfigFile::read(nowhere, false).unwrap(), ConfigFile::default());
    assert!(ConfigFile::read(nowhere, true).is_err());
}

#[test]
fn a_current_context_that_does_not_exist_is_named() {
    let file = ConfigFile::parse(r#"{"current": "gone", "contexts": {}}"#).unwrap();
    assert!(file.current().unwrap_err().text().starts_with("No such context gone\n"));
}
