//! What keeps a server from starting: one sentence, what to do, and nothing half made. And what it says when it has.

use std::{
    fs::{self, Permissions},
    io::Write as _,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use crate::support::{
    Case,
    real::{self, FREE_PORTS, Server, as_nobody, bounded},
};

/// A server that is expected to refuse; one that does not is ended after a minute.
fn refused(mut command: Command, arguments: &[&str]) -> String {
    command.args(arguments);
    let Output { status, stdout, stderr } = bounded(&command).output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
    // Below what is logged.
    text.lines().filter(|line| !line.starts_with('{')).map(|line| format!("{line}\n")).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_port_in_use_is_told_for_each_listener_and_nothing_is_made() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, port) = (taken.local_addr().unwrap(), taken.local_addr().unwrap().port());
    let check = |flag: &str, key: &str| {
        let port = port.to_string();
        let mut arguments = FREE_PORTS.to_vec();
        let at = arguments.iter().position(|argument| *argument == flag).unwrap();
        arguments[at + 1] = &port;
        let expect = format!(
            "cannot listen on {address}: another program listens there\nend that program, or choose another place: \
             {flag} PORT ({key} in server.toml, DISPATCH_SERVER_{})\n",
            key.to_uppercase()
        );
        assert_eq!(refused(real::command(home.path()), &arguments), expect);
        assert_eq!(names(home.path()), Vec::<String>::new(), "something was made");
    };
    check("--port", "listen");
    check("--gateway-port", "gateway_listen");
    check("--gateway-tls-port", "gateway_tls_listen");
}

#[test]
fn a_second_server_on_one_directory_is_refused_and_the_first_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let data = home.path().join("data/dispatch");
    let expect = format!(
        "another server uses {}\nstop that one, or give this one a data directory of its own: --data DIR\n",
        data.display()
    );
    assert_eq!(refused(real::command(home.path()), &FREE_PORTS), expect);
    // Also if it wants the same ports: the first would be the program that listens there.
    let port = server.port.to_string();
    let mut arguments = FREE_PORTS;
    arguments[2] = &port;
    assert_eq!(refused(real::command(home.path()), &arguments), expect);
    Case::on("real/second", home, server).run("get secrets").check();
}

#[test]
fn data_of_a_newer_version_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    Server::start(home.path()).finish();
    let database = home.path().join("data/dispatch/dispatch.db");
    let write = |sql: &str| {
        let code =
            "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as c: c.execute(sys.argv[2])";
        let done = Command::new("python3").args(["-c", code]).arg(&database).arg(sql).status();
        assert!(done.unwrap().success());
    };
    write("insert into schema_migration values (99, x'00')");
    let text = refused(real::command(home.path()), &FREE_PORTS);
    let expect = format!(
        "open database {}: it was written by a newer version of dispatch (schema 99, this one knows up to ",
        database.display()
    );
    assert!(text.starts_with(&expect), "{text}");
    assert!(text.ends_with("; use that version, or restore a backup\n"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    write("delete from schema_migration where version = 99");
    Server::start(home.path()).finish();
}

#[test]
fn a_directory_that_cannot_be_written_is_told_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let check = |command: Command, data: &Path, why: &str, remedy: &str| {
        let mut arguments = FREE_PORTS.to_vec();
        arguments.extend(["--data", data.to_str().unwrap()]);
        let expect = format!(
            "{} {why}\n{remedy} (--data DIR, data in server.toml, DISPATCH_SERVER_DATA)\n",
            data.display()
        );
        assert_eq!(refused(command, &arguments), expect);
    };
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let elsewhere = "name another place";
    let why = "cannot be written to: not a directory";
    check(real::command(home.path()), &file, why, elsewhere);
    let why = format!("cannot be made: {}: not a directory", file.display());
    check(real::command(home.path()), &file.join("below"), &why, elsewhere);
    assert_eq!(names(home.path()), ["file"]);
    if !rustix::process::geteuid().is_root() {
        dispatch_testkit::skip("only root has directories that an ordinary user cannot write");
        return;
    }
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    let let_it = "let this user do that, or name another place";
    let user = || as_nobody(home.path(), real::command(home.path()));
    check(user(), home.path(), "cannot be written to: permission denied", let_it);
    let why = format!("cannot be made: {}: permission denied", home.path().display());
    check(user(), &home.path().join("below"), &why, let_it);
    // Besides that, the copy of the executable.
    assert_eq!(names(home.path()).len(), 2);
}

#[test]
fn settings_are_checked_and_every_fault_is_told_at_once() {
    let file = "listne = \"127.0.0.1:0\"\nlisten = \"127.0.0.1\"\n\n[build.pip]\n\
                index_uri = \"https://me:hunter2@index/simple\"\nproxy = \"socks5://me:hunter2@proxy\"\n";
    let wrong = [("DISPATCH_SERVER_SKIP_AUHT", "true"), ("DISPATCH_SERVER_USER", "")];
    let loud = [("DISPATCH_SERVER_LOG", "shout=loud")];
    Case::new("server/settings")
        .file("server.toml", file)
        .run_with("server --config server.toml --host x", &wrong)
        .run_with("server check-config --config server.toml --host x", &wrong)
        .run_with("server check-config", &loud)
        .run("server check-config --data server.toml")
        .run("server check-config --config nowhere.toml")
        .run("server check-config --port 8081")
        .run("server check-config --port x")
        .run("server --port 0 check-config")
        .run("server chek-config")
        .check();
}

#[test]
fn a_user_that_the_machine_does_not_have_is_told_before_anything_is_made() {
    if !rustix::process::geteuid().is_root() {
        dispatch_testkit::skip("only root goes on as somebody else");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let command = || {
        let mut command = real::command(home.path());
        command.env("DISPATCH_SERVER_USER", "no-such-user");
        command
    };
    let why = "this machine has no user no-such-user: make it (useradd --system no-such-user), or set user to \
               another; with \"\" the server stays root\n";
    assert_eq!(refused(command(), &FREE_PORTS), why);
    let expect = format!("DISPATCH_SERVER_USER: user: {why}");
    assert_eq!(refused(command(), &["server", "check-config"]), expect);
    assert_eq!(names(home.path()), Vec::<String>::new());
}

#[test]
fn what_was_resolved_is_shown_with_its_source_and_without_credentials() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("server.toml");
    let text = "log = \"warn\"\n\n[build.pip]\nindex_url = \"https://me:hunter2@index/simple\"\n";
    fs::write(&file, text).unwrap();
    let mut command = real::command(home.path());
    command.env("DISPATCH_SERVER_STOP_TIMEOUT_MS", "5").env("PIP_PROXY", "http://me:hunter3@p:1");
    command.args(["server", "check-config", "--port", "0", "--host", "localhost", "--config"]);
    let Output { status, stdout, stderr } = bounded(command.arg(&file)).output().unwrap();
    let (shown, noted) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{noted}");
    assert_eq!(noted, format!("{} is good\n", file.display()));
    let place = format!("{}:", file.display());
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.split(' ').next() == Some(key)).unwrap();
        line.split("  ").filter(|part| !part.is_empty()).map(str::trim).collect::<Vec<_>>()
    };
    let check = |key: &str, value: &str, source: &str| {
        assert_eq!(line(key), [key, value, source]);
    };
    check("listen", "\"127.0.0.1:0\"", "--host, --port");
    check("gateway_listen", "\"127.0.0.1:8081\"", "--host");
    check("log", "\"warn\"", &format!("{place}1"));
    check("stop_timeout_ms", "5", "DISPATCH_SERVER_STOP_TIMEOUT_MS");
    check("user", "\"\"", "DISPATCH_SERVER_USER");
    check("skip_auth", "false", "default");
    check("build.pip.index_url", "\"https://index/simple\"", &format!("{place}4"));
    check("build.pip.proxy", "\"http://p:1/\"", "pip's own settings");
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn checking_makes_nothing_and_finds_a_certificate_that_cannot_be_served() {
    let home = tempfile::tempdir().unwrap();
    let good = bounded(real::command(home.path()).args(["server", "check-config"])).output();
    assert!(good.unwrap().status.success());
    assert_eq!(names(home.path()), Vec::<String>::new(), "something was made");
    let tls = home.path().join("data/dispatch/tls");
    fs::create_dir_all(&tls).unwrap();
    fs::File::create(tls.join("server.pem")).unwrap().write_all(b"x").unwrap();
    let text = refused(real::command(home.path()), &["server", "check-config"]);
    let expect = format!(
        "data: {}/server.pem holds no certificate: put a certificate and its key there, or remove the file and one is made\n",
        tls.display()
    );
    assert_eq!(text, expect);
}

#[test]
fn a_machine_without_node_and_postgresql_says_what_to_install() {
    if !rustix::process::geteuid().is_root() {
        dispatch_testkit::skip("only root can hide programs");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let hidden = ["/usr/bin/node", "/usr/lib/postgresql"];
    let server = Server::start_without(home.path(), &hidden);
    Case::on("real/missing", home, server)
        .run("create base-image nodejs-base host:nodejs --language nodejs --wait")
        .run("get base-image nodejs-base -o wide")
        .run("create servicebroker pg --builtin postgresql --param managed=true --wait")
        .run("get servicebroker pg -o wide")
        .run("create servicebroker my --builtin mysql --param managed=true")
        .run("create servicebroker my --builtin postgres --param managed=true")
        .check();
}

#[test]
fn the_first_start_says_what_to_do_next_and_that_works() {
    let home = tempfile::tempdir().unwrap();
    let said = |server: &Server| {
        let places = server.said();
        let ports = |text: &str| -> String {
            let parts = text
                .split("127.0.0.1:")
                .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned());
            parts.collect::<Vec<_>>().join("127.0.0.1:<port>")
        };
        ports(&places).replace(&home.path().display().to_string(), "<home>")
    };
    let server = Server::start(home.path());
    server.says("dispatch doctor");
    let first = said(&server);
    server.finish();
    let server = Server::start(home.path());
    server.says("https://");
    let later = said(&server);
    assert_eq!(first.lines().take(2).collect::<Vec<_>>(), later.lines().collect::<Vec<_>>());
    crate::support::golden::Golden::new("real/welcome").check(&first);
    // Each line is typed as it stands.
    for line in first.lines().filter_map(|line| line.strip_prefix("  ")) {
        if line.contains("service") {
            continue;
        }
        let shell = format!("dispatch() {{ {} \"$@\"; }}\n{line}", env!("CARGO_BIN_EXE_dispatch"));
        let mut command = Command::new("sh");
        command.args(["-c", &shell]).current_dir(home.path()).env_clear().env("HOME", home.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    server.finish();
}
