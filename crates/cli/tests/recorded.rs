//! What the command line of v0.1.22 printed, recorded against its own server, and what this one prints. `recorded.txt`
//! holds the recordings; below `=== now` is what has become of one, with the rows of docs/compatibility.md that say
//! why. `UPDATE=1` writes these parts again; rows are written by hand.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{real, words};

const NOW: &str = "=== now\n";
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
    let source = fs::read_to_string(place()).unwrap();
    let rows = fs::read_to_string(root().join("docs/compatibility.md")).unwrap();
    let mut text = String::new();
    for block in blocks(&source) {
        let command = block.lines().next().unwrap_or_default();
        let output = dispatch(home.path(), command.trim_start_matches("$ dispatch "));
        text.push_str(&compared(block, &written(command, &output)));
        settle(home.path(), command, &output);
    }
    server.finish();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(place(), &text).unwrap();
        return;
    }
    let line = source.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
    assert!(source == text, "recorded.txt differs from line {} on; it is now:\n{text}", line + 1);
    for reason in text.lines().filter_map(|line| line.strip_prefix("? ")) {
        assert!(
            rows.contains(&format!("| {reason} |")),
            "docs/compatibility.md has no row {reason}"
        );
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded.txt")
}

/// From one `$ ` to the next.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices("$ dispatch ").map(|(at, _)| at);
    let starts: Vec<usize> = starts.filter(|at| *at == 0 || text[..*at].ends_with('\n')).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| &text[start..end])
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

/// The block as it is to be: what was recorded, what is now if that differs, and the rows that were there.
fn compared(block: &str, now: &str) -> String {
    let (recorded, below) = block.split_once(NOW).unwrap_or((block, ""));
    if same(recorded, now) {
        return format!("{}\n\n", recorded.trim_end());
    }
    let mut reasons: Vec<&str> = below.lines().filter(|line| line.starts_with("? ")).collect();
    if reasons.is_empty() {
        reasons.push("? why?");
    }
    let now = shape(now).iter().skip(1).map(|line| format!("{line}\n")).collect::<String>();
    format!("{}\n{NOW}{now}{}\n\n", recorded.trim_end(), reasons.join("\n"))
}

fn written(command: &str, output: &Output) -> String {
    let mut text = format!("{command}\nexit {}\n", output.status.code().unwrap_or(-1));
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    let stdout = if stdout.contains("\nUsage:") { "(help)\n".to_owned() } else { stdout };
    let stderr = match stderr.split_once("\nUsage:") {
        Some((said, _)) => format!("{said}\n(usage)\n"),
        None => stderr,
    };
    for (title, content) in [("stdout", stdout), ("stderr", stderr)] {
        if !content.is_empty() {
            text.push_str(&format!("--- {title}\n{content}"));
        }
    }
    text
}

/// Ids, times, the organization and the width of columns differ from run to run. Below an error there may be further
/// lines, which say what to do.
fn same(recorded: &str, now: &str) -> bool {
    let (recorded, now) = (shape(recorded), shape(now));
    let refused = recorded.get(1).is_some_and(|exit| exit != "exit 0");
    recorded == now || (refused && now.starts_with(&recorded))
}

fn shape(text: &str) -> Vec<String> {
    let word = |word: &str| -> String {
        let plain = word.trim_matches(['"', ',']);
        let is_id = uuid::Uuid::parse_str(plain).is_ok();
        let is_time = plain.len() == 10 && plain.bytes().all(|byte| byte.is_ascii_digit());
        let is_rule = word.len() > 3 && word.bytes().all(|byte| byte == b'-');
        match word {
            _ if is_id || is_time => word.replace(plain, "<>"),
            _ if is_rule => "----".to_owned(),
            _ => word.replace("testorg", "dispatch"),
        }
    };
    let line = |line: &str| {
        let words: Vec<String> = line.split_whitespace().map(word).collect();
        dates(&words).join(" ")
    };
    text.trim_end().lines().map(|text| images(&machine(&line(text)))).collect()
}

/// `Fri Nov 20 07:33:53 UTC 2026` is one word.
fn dates(words: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in words {
        out.push(word.clone());
        if let [.., _, _, _, clock, zone, _] = out.as_slice()
            && zone == "UTC"
            && clock.contains(':')
        {
            out.truncate(out.len() - 6);
            out.push("<date>".to_owned());
        }
    }
    out
}

/// Another machine may hold functions in other ways.
fn machine(line: &str) -> String {
    match line.split_once("\"confinement\": ") {
        Some((before, _)) => format!("{before}\"confinement\": …"),
        None => line.to_owned(),
    }
}

/// The id in the name of an image.
fn images(line: &str) -> String {
    let Some((before, after)) = line.split_once(":latest") else { return line.to_owned() };
    let cut = before.len().saturating_sub(36);
    format!("{}<>:latest{after}", before.get(..cut).unwrap_or(before))
}
