//! `dispatch doctor` on this machine as it is, and on machines that lack something.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Command,
};

use serde::Deserialize;

use crate::support::real::{self, Server, as_nobody, bounded, without};

/// What was found.
#[derive(Debug, Deserialize)]
struct Found {
    functions: bool,
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    name: String,
    state: String,
    detail: String,
    remedy: Option<String>,
    decides: bool,
}

impl Found {
    fn of(mut command: Command) -> Self {
        command.args(["doctor", "-o", "json"]);
        let output = bounded(&command).output().unwrap();
        let noted = String::from_utf8_lossy(&output.stderr).into_owned();
        let found: Self = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(noted, "");
        assert_eq!(output.status.code(), Some(if found.functions { 0 } else { 1 }), "{found:?}");
        for check in &found.checks {
            assert!(check.state == "ok" || check.remedy.is_some(), "what to do about {check:?}?");
        }
        found
    }

    /// What is to be done about it, or nothing.
    fn check(&self, name: &str, state: &str, detail: &str) -> &str {
        let check = self.checks.iter().find(|check| check.name == name);
        let check = check.unwrap_or_else(|| panic!("no {name} in {self:?}"));
        assert_eq!(check.state, state, "{check:?}");
        assert!(check.detail.contains(detail), "{check:?}");
        check.remedy.as_deref().unwrap_or_default()
    }

    fn decide(&self) -> Vec<&str> {
        let bad = self.checks.iter().filter(|check| check.decides && check.state != "ok");
        bad.map(|check| check.name.as_str()).collect()
    }
}

fn is_root(what: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        dispatch_testkit::skip(what);
    }
    is_root
}

#[test]
fn on_a_machine_that_has_everything_functions_can_run_and_nothing_is_made() {
    let home = tempfile::tempdir().unwrap();
    let found = Found::of(real::command(home.path()));
    assert!(found.functions, "{found:?}");
    found.check("kernel.release", "ok", "Linux ");
    found.check("sandbox", "ok", "a program ran in one");
    found.check("sandbox.namespaces", "ok", "user, mount, pid");
    found.check("interpreter.python3", "ok", "answers in a sandbox");
    found.check("interpreter.nodejs", "ok", "answers in a sandbox");
    found.check("packages.pip", "ok", "");
    found.check("packages.npm", "ok", "npm");
    found.check("postgresql", "ok", "/bin");
    found.check("settings", "ok", "there is no server.toml");
    found.check("disk", "ok", "MiB free for");
    found.check("server", "off", "none is known");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "something was made");
    // The same for people: a mark, a name and what was found, in columns.
    let output = bounded(real::command(home.path()).arg("doctor")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("\n\nfunctions can run on this machine\n"), "{text}");
    let rows = text.lines().filter(|line| !line.starts_with(' ') && !line.is_empty());
    let places: BTreeSet<usize> = rows
        .filter(|row| !row.starts_with("functions can"))
        .map(|row| {
            let name = row[9..].split(' ').next().unwrap().len();
            row.len() - row[9 + name..].trim_start().len()
        })
        .collect();
    assert_eq!(places.len(), 1, "what was found begins at one column: {text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_running_server_and_its_brokers_are_told_of_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let run = |arguments: &[&str]| {
        real::command(home.path()).args(arguments).output().unwrap().status.success()
    };
    run(&["create", "servicebroker", "away", "http://127.0.0.1:1", "--wait"]);
    let before = names(&home.path().join("data/dispatch"));
    let found = Found::of(real::command(home.path()));
    let address = format!("at http://127.0.0.1:{}", server.port);
    found.check("server", "ok", &address);
    let broker = found.check("broker.away", "wrong", "ERROR: ");
    assert_eq!(broker, "try again: dispatch refresh servicebroker away");
    assert!(found.functions, "a broker does not decide: {found:?}");
    assert_eq!(names(&home.path().join("data/dispatch")), before);
    assert!(run(&["get", "secrets"]), "the server goes on");
    server.finish();
    Found::of(real::command(home.path())).check("server", "off", "connection refused");
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_ordinary_user_is_told_what_root_would_have() {
    if !is_root("only root can become an ordinary user") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    chown(home.path(), Some(65534), Some(65534)).unwrap();
    let found = Found::of(as_nobody(home.path(), real::command(home.path())));
    assert!(found.functions, "{found:?}");
    let identity = found.check("sandbox.identity", "ok", "in part: the server's own uid");
    assert!(identity.starts_with("start the server as root"));
    found.check("interpreter.python3", "ok", "answers in a sandbox");
    // Root tries both.
    let found = Found::of(real::command(home.path()));
    found.check("sandbox.identity", "ok", "a host uid of its own");
    found.check("sandbox.ordinary-user", "ok", "a program ran in one");
}

#[test]
fn what_is_not_there_is_named_with_what_to_install_and_one_interpreter_is_enough() {
    if !is_root("only root can hide programs") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let on_a_machine_without =
        |hidden: &[&str]| Found::of(without(hidden, real::command(home.path())));
    let found = on_a_machine_without(&["/usr/bin/node", "/usr/lib/postgresql"]);
    assert!(found.functions, "{found:?}");
    let node = found.check("interpreter.nodejs", "missing", "there is no node");
    assert!(node.contains("apt-get install nodejs"), "{node}");
    let postgresql = found.check("postgresql", "missing", "no PostgreSQL under");
    assert!(postgresql.starts_with("apt-get install postgresql;"), "{postgresql}");
    let found = on_a_machine_without(&["/usr/bin/node", "/usr/bin/python3"]);
    assert_eq!(found.decide(), ["interpreter.python3", "interpreter.nodejs"]);
}

#[test]
fn a_kernel_that_allows_no_sandbox_is_told_by_the_attempt_and_by_its_switch() {
    let home = tempfile::tempdir().unwrap();
    let command = real::command(home.path());
    let mut forbidden = Command::new("unshare");
    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"";
    forbidden.args(["--user", "--map-root-user", "sh", "-c", forbid]).arg(command.get_program());
    forbidden.env_clear();
    forbidden.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let found = Found::of(forbidden);
    let sandbox = found.check("sandbox", "wrong", "does not let it make namespaces");
    assert!(sandbox.contains("max_user_namespaces"), "{sandbox}");
    let name = "sysctl.user.max_user_namespaces";
    let switch = found.check(name, "off", "0: nobody makes sandboxes");
    assert_eq!(switch, "sysctl -w user.max_user_namespaces=15000");
    assert_eq!(found.decide(), ["sandbox"]);
    found.check("interpreter.python3", "ok", "not tried in a sandbox");
}

#[test]
fn settings_with_which_no_server_starts_decide() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("server.toml");
    fs::write(&file, "listne = 1\nlgo = \"info\"\n").unwrap();
    let mut command = real::command(home.path());
    command.env("DISPATCH_SERVER_CONFIG", &file);
    let found = Found::of(command);
    found.check("settings", "wrong", "server.toml:1: unknown key listne; did you mean listen?; ");
    found.check("settings", "wrong", "server.toml:2: unknown key lgo; did you mean log?");
    assert_eq!(found.decide(), ["settings"]);
    let mut command = real::command(home.path());
    command.env("DISPATCH_CONFIG", home.path().join("nowhere.json"));
    let remedy = Found::of(command).check("server", "wrong", "nowhere.json").to_owned();
    assert_eq!(remedy, "use another one: --config FILE");
    let mut command = real::command(home.path());
    command.env("DISPATCH_SERVER_DATA", &file);
    let found = Found::of(command);
    found.check("settings.data", "wrong", "not a directory");
    assert_eq!(found.decide(), ["settings.data"]);
}
