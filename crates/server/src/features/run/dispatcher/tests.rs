//! Non-blocking runs in a whole server, at their bounds and over a restart.

use dispatch_osb::fake::FakeBroker;
use dispatch_store::{RunFilter, RunRecord};
use serde_json::{Value, json};

use super::*;
use crate::{
    packages::Build,
    testing::{Answer, TestPlatform, TestServer, World, until},
};

/// What it is given.
const ECHO: &str = "
def handle(ctx, payload):
    return [payload, ctx['secrets'].get('key'), sorted(ctx['services']), ctx.get('httpContext')]
";

async fn function(server: &TestServer) {
    server.function("f", &[("hello.py", ECHO.to_owned())], json!({})).await;
}

async fn ask(server: &TestServer, body: &Value) -> Answer {
    server.post("/v1/runs?functionName=f", body).await
}

async fn ended(server: &TestServer, run: &Value) -> Value {
    let path = format!("/v1/runs/{}", run["name"].as_str().unwrap());
    server
        .eventually(&path, |run| {
            (run.body["finishedTime"] != -62_135_596_800_i64).then(|| run.body.clone())
        })
        .await
}

async fn stored(server: &TestServer) -> usize {
    let platform = server.running.platform();
    platform.store.runs(&platform.system, &RunFilter::default()).await.unwrap().runs.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_finds_no_room_is_refused_and_leaves_nothing() {
    let server = TestServer::with_python(Build::default()).await;
    function(&server).await;
    let runs = &server.running.platform().runs;
    // The record of such a run takes 8 KiB and a bit.
    let run = json!({"input": "x".repeat(8 << 10)});
    let others = runs.accepted_kib.acquire_many(ACCEPTED_KIB_MAX - 9).await.unwrap();
    let turns = runs.executing.acquire_many(EXECUTING_MAX as u32).await.unwrap();
    let accepted = ask(&server, &run).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let refused = ask(&server, &json!({"input": 1})).await;
    let expect = json!("the runs that are waiting already take 1024 MiB");
    assert_eq!((refused.status, &refused.body["message"]), (503, &expect));
    assert_eq!(stored(&server).await, 1);
    drop(turns);
    assert_eq!(ended(&server, &accepted.body).await["status"], "READY");
    drop(others);
    until(|| runs.accepted_kib.available_permits() == ACCEPTED_KIB_MAX as usize, String::new).await;

    let others = runs.accepted.acquire_many(ACCEPTED_MAX as u32).await.unwrap();
    let refused = ask(&server, &json!({"input": 1})).await;
    let expect = json!("10000 runs are waiting already");
    assert_eq!((refused.status, &refused.body["message"]), (503, &expect));
    assert_eq!(stored(&server).await, 1);
    drop(others);
    assert_eq!(ask(&server, &json!({"input": 1})).await.status, 202);
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_in_memory_only_when_its_turn_has_come_and_there_is_room() {
    assert!(size_of::<Waiting>() <= 96, "{}", size_of::<Waiting>());
    let server = TestServer::with_python(Build::default()).await;
    function(&server).await;
    let runs = &server.running.platform().runs;
    let others = runs.executing_kib.acquire_many(EXECUTING_KIB_MAX - 8).await.unwrap();
    let large = ask(&server, &json!({"input": "x".repeat(8 << 10)})).await;
    let taken = || runs.executing.available_permits();
    until(|| taken() == EXECUTING_MAX - 1, || format!("{} turns are free", taken())).await;
    assert_eq!(runs.tasks.len(), 1, "only whoever gives turns is at work");
    drop(others);
    assert_eq!(ended(&server, &large.body).await["status"], "READY");
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_taken_up_again_is_given_all_that_was_asked_for() {
    let world = World::sandboxed(Build::default());
    let server = TestServer::start_in(world.clone()).await;
    let platform = TestPlatform { server, broker: FakeBroker::start().await.unwrap() };
    platform.register("fake").await;
    platform.instance("db").await;
    platform.make_image().await;
    function(&platform).await;
    platform.post("/v1/secret", &json!({"name": "s", "secrets": {"key": "v"}})).await;
    let TestPlatform { server, broker } = platform;
    let _turns = {
        let runs = Arc::clone(&server.running.platform().runs.executing);
        runs.acquire_many_owned(EXECUTING_MAX as u32).await.unwrap()
    };
    let context = json!({"Authorization": "Bearer x", "method": "GET"});
    let asked = json!({
        "input": {"n": 1.50}, "secrets": ["s"], "services": ["db=x"], "httpContext": context,
    });
    let accepted = ask(&server, &asked).await;
    assert_eq!((accepted.status, &accepted.body["services"]), (202, &json!(null)));
    let path = format!("/v1/runs/{}", accepted.body["name"].as_str().unwrap());
    assert!(!server.get(&path).await.text.contains("Bearer"));
    server.finish().await;

    let database = world.directory.path().join("data/dispatch.db");
    let bytes = std::fs::read(&database).unwrap();
    assert!(!bytes.windows(8).any(|part| part == b"Bearer x"), "it is on the disk");
    let server = TestServer::start_in(world.clone()).await;
    let run = ended(&server, &accepted.body).await;
    assert_eq!(run["output"], json!([{"n": 1.5}, "v", ["x"], context]), "{run}");
    server.delete("/v1/serviceinstance/db").await;
    let gone = |answer: &Answer| (answer.status == 404).then_some(());
    server.until("/v1/serviceinstance/db", gone).await;
    server.running.stop().await;
    broker.finish().await;
    let database = rusqlite::Connection::open(database).unwrap();
    let sealed = "SELECT count(*) FROM sealed WHERE owner = ?1";
    let id: Uuid = accepted.body["name"].as_str().unwrap().parse().unwrap();
    let left: i64 = database.query_row(sealed, (id.as_bytes(),), |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "what was sealed goes with the end of the run");
}

/// A run in the store that nobody has been told of, as after a start.
async fn unfinished(server: &TestServer, number: u128, state: RunState) -> String {
    let platform = server.running.platform();
    let org = "dispatch".parse().unwrap();
    let organization = platform.organization(&org).await.unwrap().unwrap().organization();
    let now = platform.clock.now();
    let (id, function) = (Uuid::from_u128(number), Uuid::from_u128(7));
    let body = String::new();
    let row = RunRecord { id, organization, function, state, created: now, finished: None, body };
    let run = record::unknown(&row, "f".to_owned());
    let row = record::row(&run, organization, state, now, None);
    platform.store.commit(Batch::system("test").insert_run(&row)).await.unwrap();
    format!("/v1/runs/{id}")
}

async fn reason(server: &TestServer, path: &str) -> Value {
    let run = server.becomes(path, "ERROR").await;
    assert_ne!(run["finishedTime"], -62_135_596_800_i64);
    run["reason"].clone()
}

#[tokio::test]
async fn runs_that_cannot_be_executed_end_and_say_why() {
    let server = TestServer::start().await;
    let deleted = unfinished(&server, 1, RunState::Waiting).await;
    let waiting = unfinished(&server, 2, RunState::Waiting).await;
    let executing = unfinished(&server, 3, RunState::Executing).await;
    let spoilt = server.spoil("UPDATE run SET body = '{' WHERE hex(id) NOT LIKE '%1'");
    assert_eq!(spoilt, 2);
    resume(server.running.platform()).await.unwrap();
    let check = async |path: &str, function: &str, why: &str| {
        let expect = json!([format!("error running function: {function}: {why}")]);
        assert_eq!(reason(&server, path).await, expect);
    };
    check(&deleted, "f", "function f does not exist any more").await;
    let id = Uuid::from_u128(7).to_string();
    check(&waiting, &id, "its record cannot be read").await;
    check(&executing, &id, "the server stopped during the run").await;
    server.finish().await;
}

#[tokio::test]
async fn a_start_that_cannot_read_the_unfinished_runs_is_none() {
    let server = TestServer::start().await;
    unfinished(&server, 1, RunState::Waiting).await;
    assert_eq!(server.spoil("UPDATE run SET function = x'00'"), 1);
    assert!(resume(server.running.platform()).await.is_err());
    server.finish().await;
}

#[tokio::test]
async fn a_lost_run_that_cannot_be_read_is_read_again() {
    let server = TestServer::start().await;
    let path = unfinished(&server, 1, RunState::Executing).await;
    let platform = server.running.platform();
    let org = "dispatch".parse().unwrap();
    let organization = platform.organization(&org).await.unwrap().unwrap().organization();
    assert_eq!(server.spoil("UPDATE run SET function = x'00'"), 1);
    let mut lost = Box::pin(lost(platform, organization, Uuid::from_u128(1), "gone"));
    let looks = async {
        for _ in 0..50 {
            server.get("/v1/version").await;
        }
    };
    tokio::select! {
        () = &mut lost => panic!("given up"),
        () = looks => {}
    }
    assert_eq!(server.spoil("UPDATE run SET function = zeroblob(16)"), 1);
    let on = async {
        loop {
            server.world.clock.advance(std::time::Duration::from_secs(1));
            server.get("/v1/version").await;
        }
    };
    tokio::select! {
        () = &mut lost => {}
        () = on => {}
    }
    assert_eq!(reason(&server, &path).await, json!(["error running function: f: gone"]));
    drop(lost);
    server.finish().await;
}

const SLOW: &str = "
import time
def handle(ctx, payload):
    time.sleep(3600)
";

/// A server that does not wait for calls when it stops, with a function `slow` besides.
async fn impatient() -> TestServer {
    let mut world = World::sandboxed(Build::default());
    world.stop_timeout = std::time::Duration::from_millis(1);
    let server = TestServer::start_in(world).await;
    server.make_image().await;
    function(&server).await;
    server.function("slow", &[("hello.py", SLOW.to_owned())], json!({"timeout": 300_000})).await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_a_function_that_takes_long_hold_up_none_of_another() {
    let server = impatient().await;
    for _ in 0..EXECUTING_MAX + 8 {
        let asked = server.post("/v1/runs?functionName=slow", &json!({})).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
    }
    let other = ask(&server, &json!({"input": 1})).await;
    assert_eq!(ended(&server, &other.body).await["status"], "READY");
    let runs = &server.running.platform().runs;
    until(|| runs.executing.available_permits() == EXECUTING_MAX - 4, String::new).await;
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_executing_only_once_it_has_a_worker() {
    let server = impatient().await;
    let pools = &server.running.platform().workers.pools;
    let busy = || pools.workers_with(|worker| worker.phase == pool::Phase::Busy).len();
    let calls = futures::future::join_all((0..4).map(|_| server.call("slow", json!({}))));
    let waits = async {
        until(|| busy() == 4, || format!("{} are busy", busy())).await;
        let run = server.post("/v1/runs?functionName=slow", &json!({})).await.body;
        until(|| pools.counts().waiting == 1, String::new).await;
        let run = server.get(&format!("/v1/runs/{}", run["name"].as_str().unwrap())).await;
        assert_eq!(run.body["status"], "INITIALIZED", "{}", run.text);
    };
    tokio::select! {
        ended = calls => panic!("{ended:?}"),
        () = waits => {}
    }
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_the_stop_cuts_off_say_so_blocking_or_not() {
    let server = impatient().await;
    let world = server.world.clone();
    let run = server.post("/v1/runs?functionName=slow", &json!({})).await.body;
    let path = format!("/v1/runs/{}", run["name"].as_str().unwrap());
    server.becomes(&path, "CREATING").await;
    let pools = &server.running.platform().workers.pools;
    let busy = || pools.workers_with(|worker| worker.phase == pool::Phase::Busy).len();
    tokio::select! {
        ended = server.call("slow", json!({})) => panic!("{ended}"),
        () = until(|| busy() == 2, || format!("{} are busy", busy())) => {}
    }
    server.running.stop().await;
    let server = TestServer::start_in(world).await;
    server.becomes(&path, "ERROR").await;
    let list = server.get("/v1/runs").await;
    let runs = list.body.as_array().unwrap();
    assert_eq!(runs.len(), 2, "{}", list.text);
    let expect = json!({"message": CUT_OFF, "stacktrace": null, "type": "SystemError"});
    assert!(runs.iter().all(|run| run["error"] == expect), "{}", list.text);
    server.running.stop().await;
}
