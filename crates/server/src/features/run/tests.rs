//! Runs in a whole server: how large they may be, alone and in a list, and what of them is stored.

use std::path::Path;

use dispatch_model::Id;
use dispatch_runtime::frame::MAX_PAYLOAD_BYTES;
use dispatch_store::{Batch, RunFilter, RunRecord, RunState};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    packages::Build,
    testing::{Answer, TestServer},
};

/// Of a blocking run, which is recorded after it was answered; of another, at its end.
async fn recorded(server: &TestServer, run: &Value) -> Value {
    let path = format!("/v1/runs/{}", run["name"].as_str().unwrap());
    let ended = |run: &Answer| {
        let ended = matches!(run.body["status"].as_str(), Some("READY" | "ERROR"));
        ended.then(|| run.body.clone())
    };
    server.eventually(&path, ended).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_may_be_as_large_as_its_bound_and_not_a_byte_more() {
    let server = TestServer::with_python(Build::default()).await;
    let length = "def handle(ctx, payload):\n    return len(payload)\n";
    server.function("f", &[("hello.py", length.to_owned())], json!({})).await;
    // Its two quotation marks are of it.
    let input = |bytes: usize| json!("x".repeat(bytes - 2));
    let ask = async |blocking: bool, bytes: usize| {
        let asked = json!({"blocking": blocking, "input": input(bytes)});
        server.post("/v1/runs?functionName=f", &asked).await
    };
    let run = server.call("f", input(MAX_PAYLOAD_BYTES)).await;
    assert_eq!(run["output"], MAX_PAYLOAD_BYTES - 2, "{}", run["error"]);
    recorded(&server, &run).await;
    let list = server.get("/v1/runs").await;
    assert_eq!((list.body.as_array().unwrap().len(), list.truncated), (1, false));
    let accepted = ask(false, MAX_PAYLOAD_BYTES).await;
    assert_eq!(accepted.status, 202);
    let run = recorded(&server, &accepted.body).await;
    assert_eq!(run["output"], MAX_PAYLOAD_BYTES - 2, "{}", run["error"]);
    // The two together are more than a list holds.
    let list = server.get("/v1/runs").await;
    assert_eq!((list.body.as_array().unwrap().len(), list.truncated), (1, true));
    for blocking in [true, false] {
        let refused = ask(blocking, MAX_PAYLOAD_BYTES + 1).await;
        let expect = json!("the input is larger than 10485760 bytes");
        assert_eq!((refused.status, &refused.body["message"]), (413, &expect));
    }
    let platform = server.running.platform();
    let unlimited = RunFilter { bytes: usize::MAX, ..RunFilter::default() };
    let stored = platform.store.runs(&platform.system, &unlimited).await.unwrap().runs;
    assert_eq!(stored.len(), 2, "what was refused was no run");
    server.finish().await;
}

/// Stores runs that are done, with bodies of so many bytes each; the later ones are newer.
async fn store(server: &TestServer, numbers: std::ops::Range<u128>, bytes: usize) {
    let platform = server.running.platform();
    let org = "dispatch".parse().unwrap();
    let organization = platform.organization(&org).await.unwrap().unwrap().organization();
    let now = platform.clock.now();
    let mut batch = Batch::system("test");
    for number in numbers {
        let mut row = RunRecord {
            id: Uuid::from_u128(number),
            organization: Id::from_uuid(organization.uuid()),
            function: Uuid::from_u128(7),
            state: RunState::Done,
            created: now,
            finished: Some(now),
            body: String::new(),
        };
        row.body = serde_json::to_string(&record::unknown(&row, "f".to_owned())).unwrap();
        let room = bytes.saturating_sub(row.body.len());
        row.body.push_str(&" ".repeat(room));
        batch = batch.insert_run(&row);
    }
    platform.store.commit(batch).await.unwrap();
}

async fn check_list(server: &TestServer, runs: usize, truncated: bool) {
    let list = server.get("/v1/runs").await;
    let found = list.body.as_array().unwrap().len();
    assert_eq!((list.status, found, list.truncated), (200, runs, truncated));
}

#[tokio::test]
async fn a_list_of_more_than_16_mib_is_cut_and_says_so() {
    let server = TestServer::start().await;
    check_list(&server, 0, false).await;
    store(&server, 1..3, 8 << 20).await;
    check_list(&server, 2, false).await;
    assert_eq!(server.spoil("UPDATE run SET body = body || ' ' WHERE hex(id) LIKE '%1'"), 1);
    check_list(&server, 1, true).await;
    server.finish().await;
}

#[tokio::test]
async fn a_list_of_more_than_1000_runs_is_cut_and_says_so() {
    let server = TestServer::start().await;
    store(&server, 1..1_001, 0).await;
    check_list(&server, 1_000, false).await;
    store(&server, 1_001..1_002, 0).await;
    check_list(&server, 1_000, true).await;
    server.finish().await;
}

const SECRET: &str = "OpenSesame-4711";
/// Tells it wherever a function can tell something.
const LEAKY: &str = "
import sys
def handle(ctx, payload):
    key = ctx['secrets']['key']
    print('out', key)
    print('err', key, file=sys.stderr)
    raise ValueError('with ' + key)
";

/// Whether a file at or below the path holds the secret's value.
fn holds_secret(path: &Path) -> bool {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).unwrap();
        return entries.into_iter().any(|entry| holds_secret(&entry.unwrap().path()));
    }
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_function_tells_of_its_secrets_reaches_its_caller_and_not_the_disk() {
    let server = TestServer::with_python(Build::default()).await;
    server.post("/v1/secret", &json!({"name": "s", "secrets": {"key": SECRET}})).await;
    let files = [("hello.py", LEAKY.to_owned())];
    server.function("f", &files, json!({"secrets": ["s"]})).await;
    let places = |run: &Value| {
        let logs = &run["logs"];
        let error = &run["error"];
        [&logs["stdout"], &logs["stderr"], &error["message"], &error["stacktrace"], &run["reason"]]
            .map(|it| it.to_string())
    };
    let told = server.call("f", json!({})).await;
    assert!(places(&told).iter().all(|text| text.contains(SECRET)), "{told}");
    let accepted = server.post("/v1/runs?functionName=f", &json!({"input": {}})).await;
    for run in [&told, &accepted.body] {
        let stored = recorded(&server, run).await;
        let is_redacted = |text: &String| text.contains("<redacted>") && !text.contains(SECRET);
        assert!(places(&stored).iter().all(is_redacted), "{stored}");
    }
    let world = server.world.clone();
    server.finish().await;
    assert!(!holds_secret(&world.directory.path().join("data")));
}
