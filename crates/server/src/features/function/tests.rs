//! Bad sources and functions that misbehave, as their owner sees them. The bounds themselves are tested where they are
//! kept, in the runtime.

use std::io::Write as _;

use dispatch_runtime::layer::Digest;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tar::{EntryType, Header};

use crate::{
    packages::Build,
    testing::{
        TestServer,
        functions::{archive, wish},
    },
};

fn packed(tar: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(tar).unwrap();
    gzip.finish().unwrap()
}

/// One entry, with nothing after it: so the original client ends its archives (contract §3.3).
fn entry(kind: EntryType, name: &str, link: &str, size: u64, data: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    [header.as_bytes().as_slice(), data].concat()
}

fn file(name: &str, data: &[u8]) -> Vec<u8> {
    packed(&entry(EntryType::Regular, name, "", data.len() as u64, data))
}

fn layers(server: &TestServer) -> usize {
    let root = server.running.platform().workers.builder.layers().root().to_owned();
    let names = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_str().unwrap().parse::<Digest>().is_ok()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_source_is_an_error_in_words_on_its_function_and_leaves_nothing() {
    let server = TestServer::with_python(Build::default()).await;
    let check = async |name: &str, source: Vec<u8>, expect: &str| {
        let made = server.post("/v1/function?wait=60", &wish(name, source, json!({}))).await;
        assert_eq!((made.status, &made.body["status"]), (201, &json!("ERROR")), "{}", made.text);
        let reason = made.body["reason"][0].as_str().unwrap();
        assert!(reason.starts_with(expect), "{name}: {reason}");
        assert!(made.body["reason"][1].is_null(), "{name} has one reason");
        let called =
            server.post(&format!("/v1/runs?functionName={name}"), &json!({"blocking": true})).await;
        let expect = json!(format!("function {name} is not READY"));
        assert_eq!((called.status, &called.body["message"]), (404, &expect));
    };
    let link = |kind, to| packed(&entry(kind, "./l", to, 0, b""));
    let bomb = packed(&entry(EntryType::Regular, "./bomb", "", 201 << 20, b"0"));
    let whole = archive(&[("hello.py", "x = 1\n".repeat(999))]);
    let cut = whole[..whole.len() - 20].to_vec();
    check(
        "up",
        file("../evil.py", b"x"),
        "the source archive holds entry \"../evil.py\", which leaves",
    )
    .await;
    check(
        "root",
        file("/evil.py", b"x"),
        "the source archive holds entry \"/evil.py\" with an absolute path",
    )
    .await;
    check(
        "symbolic",
        link(EntryType::Symlink, "/etc/passwd"),
        "the source archive holds entry \"./l\", a link out of",
    )
    .await;
    check(
        "hard",
        link(EntryType::Link, "../x"),
        "the source archive holds entry \"./l\", a link out of",
    )
    .await;
    check("device", link(EntryType::Char, ""), "the source archive holds entry \"./l\", a device")
        .await;
    check("bomb", bomb, "the source archive unpacks to more than 200 MiB").await;
    check("cut", cut, "the source archive cannot be read as a gzip-compressed tar archive").await;
    check(
        "none",
        b"no archive".to_vec(),
        "the source archive cannot be read as a gzip-compressed tar archive",
    )
    .await;
    check("empty", packed(b""), "the source archive holds nothing").await;
    assert_eq!(layers(&server), 0);

    let unfinished = file("./hello.py", b"def handle(ctx, x): return x\n");
    let made = server.post("/v1/function?wait=60", &wish("original", unfinished, json!({}))).await;
    assert_eq!((made.status, &made.body["status"]), (201, &json!("READY")), "{}", made.text);
    assert_eq!(server.call("original", json!(1)).await["output"], 1);
    server.finish().await;
}

/// By what it is asked to do.
const MISCHIEF: &str = "
import os, sys, time
def handle(ctx, what):
    if what == 'hang': time.sleep(3600)
    if what == 'exit': os._exit(3)
    if what == 'leave': sys.exit(4)
    if what == 'set': return {1, 2}
    if what == 'nan': return float('nan')
    if what == 'fork':
        while True:
            try: os.fork()
            except OSError: time.sleep(0.01)
    if what == 'print':
        for _ in range(64): print('x' * (1 << 20))
    return what
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_misbehaves_fails_its_run_in_words_and_the_next_call_is_served() {
    let server = TestServer::with_python(Build::default()).await;
    let files = [("hello.py", MISCHIEF.to_owned())];
    server.function("f", &files, json!({"timeout": 3000})).await;
    let check = async |what: &str, expect: &str| {
        let run = server.call("f", json!(what)).await;
        let error = &run["error"];
        assert_eq!(
            (&run["status"], &error["type"]),
            (&json!("ERROR"), &json!("FunctionError")),
            "{run}"
        );
        assert_eq!(error["message"], expect, "{run}");
        let reason = json!([format!("error running function: f: {expect}")]);
        assert_eq!(run["reason"], reason);
        assert_eq!(server.call("f", json!("calm")).await["output"], "calm");
    };
    check("hang", "Function execution exceeded the timeout").await;
    check("fork", "Function execution exceeded the timeout").await;
    check("exit", "the function's process exited with status 3 during the call").await;
    check("leave", "the function called sys.exit(4)").await;
    check(
        "set",
        "the function returned what JSON cannot hold: Object of type set is not JSON serializable",
    )
    .await;
    check("nan", "the function returned what JSON cannot hold: Out of range float values are not JSON compliant").await;
    server.function("patient", &files, json!({})).await;
    let run: Value = server.call("patient", json!("print")).await;
    let printed = run["logs"]["stdout"].as_array().unwrap();
    let bytes: usize = printed.iter().map(|line| line.as_str().unwrap().len()).sum();
    assert_eq!(run["output"], "print", "{}", run["error"]);
    assert!(bytes <= 257 << 10, "{bytes} bytes");
    let last = printed.last().unwrap().as_str().unwrap();
    assert!(last.starts_with("[dispatch: cut "), "{last}");
    server.finish().await;
}
