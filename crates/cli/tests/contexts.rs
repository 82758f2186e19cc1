//! `login`, `logout`, `manage context`, `version`.

use crate::support::Case;

const CONFIG: &str = ".dispatch/config.json";

#[test]
fn a_login_that_works_is_kept_and_one_that_does_not_is_not() {
    Case::new("contexts/login")
        .run("login")
        .answer(401, r#"{"code":401,"message":"unauthenticated for invalid credentials"}"#)
        .run("login --token wrong")
        .answer(200, r#"{"message":"Home Page, You have already logged in"}"#)
        .run("login --token dk_right --organization other")
        .note_file(CONFIG)
        .answer(200, r#"{"message":"Home Page, You have already logged in"}"#)
        .run("login --token jwt --organization testorg")
        .answer(200, "[]")
        .run("get secret -o name")
        .run("logout")
        .note_file(CONFIG)
        .run("login --service-account ci --jwt-private-key nowhere.key")
        .check();
}

#[test]
fn contexts_are_shown_without_their_keys_and_chosen() {
    Case::new("contexts/manage")
        .run("manage context")
        .run("manage context --set nowhere")
        .run("manage context --set lcoal")
        .file(
            "two.json",
            r#"{"current": "gone", "contexts": {"a": {"host": "a.example", "cookie": "k"}, "b": {"host": "b.example"}}}"#,
        )
        .run("get secret --config two.json")
        .run("manage context --config two.json --set b")
        .run("manage context --config two.json")
        .check();
}

#[test]
fn the_flat_form_of_early_releases_is_read() {
    let case = Case::new("contexts/flat");
    let text = std::fs::read_to_string(case.home().join(CONFIG)).unwrap();
    let start = text.find(r#"{"host""#).unwrap();
    case.file(CONFIG, &text[start..text.len() - 2])
        .answer(200, "[]")
        .run("get secret -o name")
        .check();
}

#[test]
fn the_clients_version_is_known_even_when_the_servers_is_not() {
    let version = r#"{"version":"v0.9.9","commit":"c","buildDate":"d","goVersion":"g","compiler":"rustc","platform":"linux/amd64"}"#;
    Case::new("contexts/version")
        .answer(200, version)
        .run("version")
        .answer(200, version)
        .run("version --json")
        .answer(404, r#"{"code":404,"message":"resource does not exist"}"#)
        .run("version")
        .check();
}
