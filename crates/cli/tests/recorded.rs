//! What the command line of v0.1.22 printed, recorded against its own server, and what this one prints.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{real, recording::Recording, words};

/// For the longest that is waited for, a build.
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines 2 and 3 are named by a recorded traceback.
const HELLO: &str = r#"def handle(ctx, payload):
    name = (payload or {}).get("name", "Noone")
    place = (payload or {}).get("place", "Nowhere")
    print("log line to stdout")
    return {"myField": "Hello, %s from %s" % (name, place)}
"#;
const RESOURCES: &str = "\
kind: BaseImage
name: yaml-base
dockerUrl: dispatchframework/python3-base:0.0.13
language: python3
---
kind: Image
name: yaml-img
baseImageName: yaml-base
---
kind: Secret
name: yaml-secret
secrets: {a: b}
---
kind: Function
name: yaml-fn
image: yaml-img
sourcePath: pyfn
handler: hello.handle
";

#[test]
fn the_command_line_prints_what_v0_1_22_printed_or_a_row_says_why_not() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| fs::write(home.path().join(name), content).unwrap();
    fs::create_dir(home.path().join("pyfn")).unwrap();
    file("pyfn/hello.py", HELLO);
    file("pyfn/other.py", HELLO);
    file("secret.json", r#"{"password": "OpenSesame"}"#);
    file("bad.json", "not json\n");
    file("res.yaml", RESOURCES);
    let server = real::Server::start(home.path());
    let mut recording = Recording::open("recorded");
    recording.play(|command| {
        let output = dispatch(home.path(), command.trim_start_matches("dispatch "));
        settle(home.path(), command, &output);
        output
    });
    server.finish();
    recording.check();
}

/// Recordings were made with pauses between the commands: nothing is under way.
fn settle(home: &Path, command: &str, output: &Output) {
    let all = command.contains(" -f ");
    let kinds = [
        ("base-images", " base-image "),
        ("images", " image "),
        ("functions", " function "),
        ("runs", " exec "),
    ];
    let about =
        |(_, word): &(&str, &str)| !command.contains(" get ") && (all || command.contains(word));
    for (nouns, _) in kinds.into_iter().filter(about) {
        until(home, nouns, |listed| !is_under_way(listed));
    }
    // The record of a run follows its answer.
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if let Some(run) =
        printed.get("name").and_then(Value::as_str).filter(|_| command.contains(" exec "))
    {
        until(home, "runs", |listed| listed.contains(run));
    }
}

fn until(home: &Path, nouns: &str, done: impl Fn(&str) -> bool) {
    let begun = Instant::now();
    loop {
        let last = listed(home, nouns);
        if done(&last) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{nouns} do not settle: {last}");
    }
}

fn listed(home: &Path, nouns: &str) -> String {
    String::from_utf8(dispatch(home, &format!("get {nouns} --json")).stdout).unwrap()
}

fn is_under_way(listed: &str) -> bool {
    let under_way = ["INITIALIZED", "CREATING", "UPDATING", "DELETING"];
    under_way.iter().any(|status| listed.contains(&format!("\"{status}\"")))
}

fn dispatch(home: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dispatch"));
    command.args(words(arguments)).current_dir(home).env_clear().env("HOME", home);
    command.env("TZ", "UTC").stdin(Stdio::null()).output().unwrap()
}
