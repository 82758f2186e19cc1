//! Brokers that are down, slow, lie, or answer garbage: an error on what was asked of them, in words that name what is
//! wrong and quote nothing, and nothing else suffers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use dispatch_osb::fake::{CallKind, Fault, RawAnswer};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{TestPlatform, TestServer, World};

/// What a server does that is no broker, to everybody who connects.
#[derive(Debug, Clone, Copy)]
enum Does {
    Nothing,
    Closes,
    /// Once.
    Says(&'static str),
    /// The first, and then the second for ever.
    NeverEnds(&'static str, &'static str),
    /// The first, and then the second for ever, a bit at a time.
    Drips(&'static str, &'static str),
}

/// A loopback port behind which there is no broker. Dropping it closes it.
struct NoBroker {
    url: String,
    /// Bytes that it could get rid of.
    sent: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for NoBroker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl NoBroker {
    async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            let mut callers = tokio::task::JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                callers.spawn(serve(caller, does, Arc::clone(&counted)));
            }
        });
        Self { url, sent, task }
    }
}

async fn serve(mut caller: TcpStream, does: Does, sent: Arc<AtomicUsize>) {
    let mut request = [0; 4_096];
    let _the_whole_of_it_is_small = caller.read(&mut request).await;
    let (once, again, pause) = match does {
        Does::Nothing => return std::future::pending().await,
        Does::Closes => return,
        Does::Says(text) => (text, "", None),
        Does::NeverEnds(text, again) => (text, again, None),
        Does::Drips(text, again) => (text, again, Some(Duration::from_millis(5))),
    };
    let _gone = caller.write_all(once.as_bytes()).await;
    let times = if pause.is_none() { 1_024 } else { 1 };
    let again = again.repeat(times);
    while !again.is_empty() && caller.write_all(again.as_bytes()).await.is_ok() {
        sent.fetch_add(again.len(), Relaxed);
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

const LONG: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n";
const CHUNKS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
const CHUNK: &str = "10\r\n[[[[[[[[[[[[[[[[\r\n";

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// What it does, and a part of what is said of it.
fn table() -> Vec<(Does, &'static str)> {
    let broke = "the connection broke before an answer";
    let late = "no answer within 1s";
    vec![
        (Does::Nothing, late),
        (Does::Closes, broke),
        (Does::Says("SSH-2.0-OpenSSH_9.2\r\n"), broke),
        (Does::Says("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"serv"), "broke off in it"),
        (Does::Says("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"), "it is not JSON"),
        (Does::Says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"), "is an array"),
        (
            Does::Says("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"services\":7}"),
            "is a number",
        ),
        (Does::Says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\u{fe}"), "it is not JSON"),
        (Does::Says("HTTP/1.1 204 No Content\r\n\r\n"), "HTTP 204"),
        (Does::Says("HTTP/1.1 304 Not Modified\r\n\r\n"), "304"),
        (Does::Says("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), "are not followed"),
        (Does::Says("HTTP/1.1 418 T\r\nContent-Length: 5\r\n\r\nshort"), "HTTP 418 with 5 bytes"),
        (Does::Says("HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "HTTP 101"),
        (Does::NeverEnds("HTTP/1.1 200 OK\r\n", "X-Garbage: garbage\r\n"), "head is too large"),
        (Does::NeverEnds(CONTINUE, CONTINUE), late),
        (Does::NeverEnds(LONG, "[[[[[[[[[[[[[[[["), "it is longer than 16777216 bytes"),
        (Does::NeverEnds(CHUNKS, CHUNK), "it is longer than 16777216 bytes"),
        (Does::Drips(CHUNKS, CHUNK), "within 1s"),
    ]
}

/// Much more than any answer may have, with what the two sides of a connection hold back.
const SENT_MAX: usize = 40 << 20;

async fn patient(seconds: u64) -> TestServer {
    let broker_timeout = Duration::from_secs(seconds);
    TestServer::start_in(World { broker_timeout, ..World::new() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_broker_is_an_error_with_a_reason_and_harms_nobody() {
    for (does, expect) in table() {
        let waits = expect.ends_with("within 1s");
        let server = patient(if waits { 1 } else { 60 }).await;
        let broker = NoBroker::start(does).await;
        let body = json!({"name": "b", "url": broker.url});
        let made = server.post("/v1/servicebroker", &body).await;
        let seen = (made.status, made.settled, &made.body["status"]);
        assert_eq!(seen, (201, true, &json!("ERROR")), "{does:?}: {}", made.text);
        let reason = made.body["reason"][0].as_str().unwrap();
        let quoted =
            ["<html>", "SSH", "short", "[[[[", "garbage"].iter().any(|it| reason.contains(it));
        assert!(!quoted && reason.len() < 300, "{does:?}: {reason}");
        assert!(reason.contains(expect), "{does:?}: {reason}");
        let sent = broker.sent.load(Relaxed);
        assert!(waits || sent < SENT_MAX, "{does:?}: {sent} bytes were taken");
        assert_eq!(server.get("/v1/serviceclass").await.body, json!([]), "{does:?}");
        server.delete("/v1/servicebroker/b").await;
        server.eventually("/v1/servicebroker/b", |seen| (seen.status == 404).then_some(())).await;
        server.finish().await;
    }
}

#[tokio::test]
async fn a_broker_that_is_down_is_named_and_asked_again_until_it_is_back() {
    let mut platform = TestPlatform::start().await;
    platform.broker.go_down().await;
    platform.ask("db").await;
    platform.quiet().await;
    let seen = platform.get("/v1/serviceinstance/db").await.body;
    let reason = seen["reason"][0].as_str().unwrap_or_default();
    assert_eq!(seen["status"], "CREATING");
    assert!(reason.contains("refused"), "{reason}");
    platform.broker.come_back().await.unwrap();
    let ready = |answer: &super::Answer| (answer.body["status"] == "READY").then_some(());
    platform.until("/v1/serviceinstance/db", ready).await;
    platform.finish().await;
}

/// Answers to a provision that no broker may give.
#[tokio::test]
async fn a_broker_that_lies_about_an_instance_never_makes_it_ready_and_nothing_is_left() {
    let huge = |status| RawAnswer::new(status, vec![b'['; 5 << 20]);
    let elsewhere = RawAnswer::empty(302).with_header("Location", "http://127.0.0.1:1/");
    let answers = [
        RawAnswer::empty(204),
        RawAnswer::empty(299),
        elsewhere,
        RawAnswer::empty(304),
        RawAnswer::empty(418),
        RawAnswer::new(200, "<html>"),
        RawAnswer::new(201, "[]"),
        RawAnswer::new(201, r#"{"dashboard_url": 7}"#),
        RawAnswer::new(202, r#"{"operation": []}"#),
        huge(201),
        huge(400),
        RawAnswer::error(400, "", &"\u{1b}[31mred\u{7}\n".repeat(10_000)),
    ];
    for answer in answers {
        let platform = TestPlatform::start().await;
        let what = format!("{} with {} bytes", answer.status, answer.body.len());
        platform.broker.always(CallKind::Provision, Some(Fault::Instead(answer.clone())));
        platform.ask("db").await;
        platform.quiet().await;
        let seen = platform.get("/v1/serviceinstance/db").await;
        let status = seen.body["status"].as_str().unwrap();
        assert!(matches!(status, "CREATING" | "ERROR"), "{what}: {}", seen.text);
        let reason = seen.body["reason"][0].as_str().unwrap();
        let odd = reason.chars().any(char::is_control);
        assert!(!odd && reason.chars().count() <= 1_100, "{what}: {reason}");
        assert!(!reason.contains("<html>") && !reason.contains("[[["), "{what}: {reason}");
        platform.broker.clear_faults();
        platform.finish().await;
    }
}
