//! `get … --watch`, `get runs --follow` and `logs`.

use crate::support::Case;

const ID: &str = "5b1f6c1e-9487-4b36-83ab-320052099d02";

fn image(name: &str, status: &str) -> String {
    format!(
        r#"{{"baseImageName":"b","createdTime":1795160033,"dockerUrl":"x","groups":null,"id":"{ID}","kind":"Image","language":"python3","name":"{name}","reason":null,"runtimeDependencies":{{}},"status":"{status}","systemDependencies":{{"packages":null}},"tags":null}}"#
    )
}

fn run(number: u32, made: i64, status: &str, logs: &str, error: &str) -> String {
    format!(
        r#"{{"error":{error},"executedTime":{made},"finishedTime":{made},"functionId":"{ID}","functionName":"hello","logs":{logs},"name":"0000000{number}-0000-4000-8000-000000000000","reason":null,"secrets":[],"services":null,"status":"{status}","tags":[]}}"#
    )
}

#[test]
fn one_object_is_watched_by_held_answers_until_it_is_gone() {
    let gone = r#"{"code":404,"message":"image python3-pg not found"}"#;
    Case::new("watching/one")
        .answer(200, &image("python3-pg", "INITIALIZED"))
        .unsettled(200, &image("python3-pg", "INITIALIZED"))
        .unsettled(200, &image("python3-pg", "CREATING"))
        .answer(200, &image("python3-pg", "READY"))
        // At rest: looked at once a second, and watched again as soon as it moves.
        .answer(200, &image("python3-pg", "READY"))
        .answer(200, &image("python3-pg", "DELETING"))
        .answer(404, gone)
        .run("get image python3-pg --watch")
        .answer(200, &image("python3-pg", "READY"))
        .answer(200, &image("python3-pg", "READY"))
        .hold()
        .interrupt("get image python3-pg -w -o json")
        .answer(404, gone)
        .answer(200, "[]")
        .run("get image python3-pg --watch")
        .check();
}

#[test]
fn a_list_is_watched_and_only_changes_are_printed() {
    let list = |images: &[&str]| format!("[{}]", images.join(","));
    let (a, b) = (image("a", "READY"), image("a-much-longer-name", "CREATING"));
    let (a, b) = (a.as_str(), b.as_str());
    Case::new("watching/list")
        .answer(200, &list(&[a]))
        .answer(200, &list(&[a, b]))
        .answer(200, &list(&[b]))
        .answer(200, &list(&[b]))
        .hold()
        .interrupt("get images --watch")
        .answer(200, &list(&[a, b]))
        .hold()
        .interrupt("get images -w -o name")
        .answer(200, "[]")
        .hold()
        .interrupt("get secrets -w")
        .check();
}

#[test]
fn runs_are_followed_once_per_status() {
    let later = 4_102_444_800;
    let waits = run(1, later, "INITIALIZED", "null", "null");
    let list = format!("[{},{waits}]", run(2, later, "READY", "null", "null"));
    Case::new("watching/runs")
        .answer(200, &list)
        .answer(200, &list.replace("INITIALIZED", "ERROR"))
        .hold()
        .interrupt("get runs --follow")
        .answer(200, &waits)
        .hold()
        .interrupt("get run hello 00000001-0000-4000-8000-000000000000 --watch")
        .check();
}

#[test]
fn logs_are_the_lines_of_runs_in_order() {
    let list = format!(
        "[{},{},{}]",
        run(3, 1_795_160_041, "INITIALIZED", "null", "null"),
        run(
            2,
            1_795_160_040,
            "ERROR",
            r#"{"stderr":["on the way\u001b[2J"],"stdout":null}"#,
            r#"{"message":"no\nname","stacktrace":null,"type":"FunctionError"}"#
        ),
        run(1, 1_795_160_038, "READY", r#"{"stderr":null,"stdout":["one","two"]}"#, "null"),
    );
    let hello = r#"{"createdTime":1,"faasId":"5b1f6c1e-9487-4b36-83ab-320052099d02","id":"5b1f6c1e-9487-4b36-83ab-320052099d02","image":"p","kind":"Function","handler":"h","name":"hello","reason":null,"schema":{},"secrets":null,"services":null,"status":"READY","tags":null}"#;
    Case::new("watching/logs")
        .answer(200, &list)
        .run("logs hello")
        .answer(200, &list)
        .run("log hello --tail 2 -o wide")
        .answer(200, &list)
        .run("logs hello -t 0")
        .answer(200, &list)
        .run("logs hello --tail 1 --json")
        .answer(200, &list)
        .run("logs hello -o name")
        .answer(200, "[]")
        .answer(200, hello)
        .run("logs hello")
        .answer(200, "[]")
        .answer(404, r#"{"code":404,"message":"function helo not found"}"#)
        .answer(200, &format!("[{hello}]"))
        .run("logs helo")
        .run("logs")
        .run("logs hello --tail x")
        .check();
}

#[test]
fn logs_are_followed_and_no_line_comes_twice() {
    let later = 4_102_444_800;
    let one = run(1, later, "READY", r#"{"stderr":null,"stdout":["one"]}"#, "null");
    let waits = run(2, later, "INITIALIZED", "null", "null");
    let two = run(2, later, "READY", r#"{"stderr":null,"stdout":["two"]}"#, "null");
    Case::new("watching/follow")
        .answer(200, &format!("[{waits},{one}]"))
        .answer(200, &format!("[{waits},{one}]"))
        .answer(200, &format!("[{two},{one}]"))
        .hold()
        .interrupt("logs hello -f")
        .check();
}
