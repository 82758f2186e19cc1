//! The post "Dispatch + Services" of April 2018, command by command: what it printed is in `blog.txt`, with what differs
//! and why. Where the post shows a picture of a table, v0.1.22's columns are taken for what it printed; `sleep` moves
//! the server's and the broker's clock. Its Kubernetes and its helm charts have no counterpart: a server is started, and
//! the broker is registered.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, value::RawValue};

use crate::support::{azure::Azure, clocked::Server, recording::Recording, sources};

/// Where the post found its gateway.
const GATEWAY: &str = "192.168.64.55:32191";

#[test]
fn the_post_of_2018_works_word_for_word() {
    let mut stage = Stage::start();
    let broker = stage.azure.url();
    assert!(stage.sh(&format!("dispatch create servicebroker azure {broker}")).status.success());
    let mut recording = Recording::open("blog");
    recording.play(|command| stage.run(command));
    stage.is_what_the_post_says();
    stage.finish();
    recording.check();
}

/// If the test fails, all of it ends in this order.
struct Stage {
    server: Server,
    azure: Azure,
    home: tempfile::TempDir,
    /// Where commands run.
    directory: PathBuf,
}

impl Stage {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let runtime = Arc::new(runtime);
        let server = Server::start(home.path(), Arc::clone(&runtime));
        let azure = Azure::start(server.clock(), runtime);
        // The post's curl had a terminal.
        fs::write(home.path().join(".curlrc"), "silent\nshow-error\n").unwrap();
        Self { server, azure, home, directory: sources() }
    }

    /// One line of the post; afterwards nothing is under way that needs no time.
    fn run(&mut self, command: &str) -> Output {
        if let Some(directory) = command.strip_prefix("cd ") {
            self.directory = sources().join(directory);
            assert!(self.directory.is_dir(), "{command}");
            return silence();
        }
        if let Some(seconds) = command.strip_prefix("sleep ") {
            self.server.pass(Duration::from_secs(seconds.parse().unwrap()));
            return silence();
        }
        let mut output = self.sh(command);
        self.server.quiet();
        // A new base image takes its time before it proves itself.
        if command.contains(" -f ") {
            self.server.pass(Duration::from_secs(2));
        }
        if command.starts_with("curl ") {
            output.stdout = rows(&output.stdout).into_bytes();
        }
        if command.starts_with("cat ") {
            output.stdout = self.hidden(&output.stdout).into_bytes();
        }
        output
    }

    fn sh(&self, command: &str) -> Output {
        let [_, _, gateway] = self.server.ports();
        let dispatch = Path::new(env!("CARGO_BIN_EXE_dispatch")).parent().unwrap().display();
        Command::new("/bin/sh")
            .args(["-c", &command.replace(GATEWAY, &format!("127.0.0.1:{gateway}"))])
            .current_dir(&self.directory)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", format!("{dispatch}:/usr/bin:/bin"))
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn json(&self, command: &str) -> Value {
        let output = self.sh(command);
        let why = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{command}: {why}"))
    }

    /// The configuration with the post's ports, and without the key, as in the post.
    fn hidden(&self, config: &[u8]) -> String {
        let config: Value = serde_json::from_slice(config).unwrap();
        let cookie = text(&config, "/contexts/127-0-0-1/cookie");
        let mut shown = serde_json::to_string_pretty(&config).unwrap() + "\n";
        shown = shown.replace(cookie, "******");
        for (ours, theirs) in self.server.ports().into_iter().zip(["32312", "32023", "32191"]) {
            shown = shown.replace(&format!(": {ours}"), &format!(": {theirs}"));
        }
        shown
    }

    /// What the post says and does not show.
    fn is_what_the_post_says(&self) {
        let instance = self.json("dispatch get serviceinstance azure-pg --json");
        let id = text(&instance, "/id");
        assert_eq!(text(&instance, "/binding/secret"), id);
        let secret = self.json(&format!("dispatch get secret {id} --all"));
        let values = secret.get("secrets").and_then(Value::as_object).unwrap();
        assert!(values.values().all(Value::is_string), "{:?}", values.keys());
        let user = text(&secret, "/secrets/username");
        assert!(user.ends_with(&format!("@{id}")), "{user}");
        let encoded = format!("postgresql://{}:", user.replace('@', "%40"));
        assert!(text(&secret, "/secrets/uri").starts_with(&encoded), "{encoded}");
        assert_eq!(self.azure.found(), [vec![id.to_owned()], vec![user.to_owned()]]);
        let books = self.azure.books();
        let asked = books.instances.get(id).and_then(|it| it.parameters.clone()).unwrap();
        assert_eq!(text(&Value::Object(asked), "/firewallRules/0/endIPAddress"), "255.255.255.255");
    }

    /// Everything goes away again.
    fn finish(self) {
        for object in ["api post-pg-example", "function pg-example", "serviceinstance azure-pg"] {
            let deleted = self.sh(&format!("dispatch delete {object} --yes"));
            assert!(deleted.status.success(), "{object}: {deleted:?}");
        }
        self.server.pass(Duration::from_secs(300));
        assert_eq!(self.json("dispatch get serviceinstances --json"), Value::Array(Vec::new()));
        self.server.finish();
        self.azure.finish();
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

fn silence() -> Output {
    Output { status: ExitStatus::from_raw(0), stdout: Vec::new(), stderr: Vec::new() }
}

/// One row a line, as the post shows them.
fn rows(list: &[u8]) -> String {
    let list: Vec<Box<RawValue>> = serde_json::from_slice(list)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(list)));
    let rows: Vec<&str> = list.iter().map(|row| row.get()).collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}
