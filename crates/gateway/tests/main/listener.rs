//! The bounds of the accept loop, each at its bound.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::Request,
    routing::{get, post},
};
use bytes::Bytes;
use dispatch_gateway::listener::{Limits, Peer};
use http_body_util::BodyExt;
use tokio::{io::AsyncReadExt, sync::Notify, time::timeout};

use crate::platform::{Certificate, PATIENCE, Running};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SHORT: Duration = Duration::from_millis(200);
/// Time enough for what must succeed within it on a busy machine.
const AMPLE: Duration = Duration::from_secs(2);

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// A route whose call goes on until it is let go.
#[derive(Clone, Default)]
struct Held {
    begun: Arc<Notify>,
    go: Arc<Notify>,
}

impl Held {
    fn router(&self) -> Router {
        let held = self.clone();
        hello().route(
            "/held",
            get(move || async move {
                held.begun.notify_one();
                held.go.notified().await;
                "held"
            }),
        )
    }
}

#[tokio::test]
async fn a_request_whose_head_drips_in_is_cut_at_the_header_time_out() {
    let limits = Limits { header_timeout: SHORT, ..Limits::default() };
    let server = Running::start(hello(), limits).await;
    let mut slow = server.connect().await;
    slow.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    assert_eq!(slow.rest().await, "");

    // Its twin with time does the same and is answered.
    let server = Running::start(hello(), Limits::default()).await;
    let mut slow = server.connect().await;
    slow.send("GET / HTTP/1.1\r\nHo").await;
    tokio::time::sleep(SHORT * 2).await;
    slow.send("st: a\r\n\r\n").await;
    assert!(slow.until("hello").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_cut_at_the_header_time_out() {
    let limits = Limits { header_timeout: SHORT, ..Limits::default() };
    let server = Running::start(hello(), limits).await;
    assert_eq!(server.connect().await.rest().await, "");
}

#[tokio::test]
async fn a_second_head_that_drips_in_is_cut_although_idling_may_last() {
    let limits = Limits { header_timeout: AMPLE, ..Limits::default() };
    let server = Running::start(hello(), limits).await;
    let mut client = server.connect().await;
    client.send(GET).await;
    client.until("hello").await;
    // Longer idle than a head may take.
    tokio::time::sleep(AMPLE + SHORT).await;
    client.send(GET).await;
    client.until("hello").await;
    client.send("GET / HT").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed_at_the_idle_time_out() {
    let limits = Limits { idle_timeout: SHORT, ..Limits::default() };
    let server = Running::start(hello(), limits).await;
    let mut client = server.connect().await;
    client.send(GET).await;
    client.until("hello").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_held_answer_may_take_longer_than_every_time_out() {
    let held = Held::default();
    let limits = Limits {
        header_timeout: AMPLE,
        idle_timeout: SHORT,
        stall_timeout: SHORT,
        ..Limits::default()
    };
    let server = Running::start(held.router(), limits).await;
    let mut client = server.connect().await;
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await;
    held.begun.notified().await;
    tokio::time::sleep(AMPLE + SHORT).await;
    held.go.notify_one();
    client.until("held").await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_cut() {
    let sent = Arc::new(AtomicUsize::new(0));
    let dropped = Arc::new(Notify::new());
    let (counter, signalled) = (Arc::clone(&sent), Arc::clone(&dropped));
    let endless = move || {
        let (counter, signal) = (Arc::clone(&counter), Signal(Arc::clone(&signalled)));
        let chunks = futures::stream::repeat_with(move || {
            let _alive = &signal;
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 64 * 1024]))
        });
        async { Body::from_stream(chunks) }
    };
    let limits = Limits { stall_timeout: SHORT, ..Limits::default() };
    let server = Running::start(Router::new().route("/", get(endless)), limits).await;
    let mut client = server.connect().await;
    client.send(GET).await;
    timeout(PATIENCE, dropped.notified()).await.expect("the answer is given up");
    assert!(sent.load(Ordering::Relaxed) > 0);
}

/// Tells when it is dropped.
struct Signal(Arc<Notify>);

impl Drop for Signal {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_head_larger_than_its_bound_is_refused() {
    let limits = Limits { header_bytes: 16 * 1024, ..Limits::default() };
    let server = Running::start(hello(), limits).await;
    let check = async |filler: usize, expect: &str| {
        let mut client = server.connect().await;
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(filler));
        client.send(&head).await;
        let answer = client.until("\r\n\r\n").await;
        assert!(answer.starts_with(expect), "{answer}");
    };
    check(15 * 1024, "HTTP/1.1 200").await;
    check(17 * 1024, "HTTP/1.1 431").await;
}

#[tokio::test]
async fn one_connection_more_than_the_cap_waits_until_another_ends() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let server = Running::start(hello(), limits).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for client in [&mut first, &mut second] {
        client.send(GET).await;
        client.until("hello").await;
    }
    let mut third = server.connect().await;
    third.send(GET).await;
    let mut byte = [0];
    let early = timeout(SHORT, third.0.read(&mut byte)).await;
    assert!(early.is_err(), "it has no seat yet");
    drop(first);
    third.until("hello").await;
}

#[tokio::test]
async fn a_panic_is_a_500_on_that_request_alone() {
    let router = hello()
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("as asked")
                }
            }),
        )
        .route("/body", get(|| async { Body::from_stream(panicking()) }));
    let server = Running::start(router, Limits::default()).await;
    let mut client = server.connect().await;
    client.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.until("}").await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(answer.ends_with(r#"{"code":500,"message":"internal error"}"#), "{answer}");
    client.send(GET).await;
    client.until("hello").await;
    // An answer that has begun can only be broken off.
    client.send("GET /body HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(!answer.contains("\r\n0\r\n"), "{answer}");
    let mut other = server.connect().await;
    other.send(GET).await;
    other.until("hello").await;
}

fn panicking() -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    futures::stream::repeat_with(|| panic!("as asked"))
}

#[tokio::test]
async fn every_request_knows_its_peer() {
    async fn peer(Extension(peer): Extension<Peer>) -> String {
        format!("{} {}", peer.address, peer.tls)
    }
    let router = Router::new().route("/", get(peer));
    let server = Running::start(router.clone(), Limits::default()).await;
    let mut client = server.connect().await;
    let address = client.0.local_addr().expect("connected");
    client.send(GET).await;
    client.until(&format!("{address} false")).await;

    let certificate = Certificate::make();
    let tls = Some(Arc::clone(&certificate.config));
    let server = Running::with(router, Limits::default(), tls).await;
    let url = format!("https://{}/", server.address);
    let answer = certificate.client().get(url).send().await.expect("it answers");
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert!(answer.text().await.expect("a text").ends_with(" true"));
}

#[tokio::test]
async fn a_tls_handshake_that_is_not_finished_is_cut() {
    let certificate = Certificate::make();
    let limits = Limits { handshake_timeout: AMPLE, connections: 1, ..Limits::default() };
    let server = Running::with(hello(), limits, Some(Arc::clone(&certificate.config))).await;
    let mut half = server.connect().await;
    // The beginning of a client's hello.
    half.send("\u{16}\u{3}\u{1}").await;
    assert_eq!(half.rest().await, "");
    let mut plain = server.connect().await;
    plain.send(GET).await;
    assert!(!plain.rest().await.contains("hello"), "plain HTTP is not answered here");
    // The only seat is free again.
    let url = format!("https://localhost:{}/", server.address.port());
    let answer = certificate.client().get(url).send().await.expect("it answers");
    assert_eq!(answer.text().await.expect("a text"), "hello");
}

#[tokio::test]
async fn a_new_certificate_is_used_from_the_next_handshake_on() {
    let (old, new) = (Certificate::make(), Certificate::make());
    let server = Running::with(hello(), Limits::default(), Some(Arc::clone(&old.config))).await;
    let url = format!("https://{}/", server.address);
    let (old_client, new_client) = (old.client(), new.client());
    old_client.get(&url).send().await.expect("the old one is served");
    new_client.get(&url).send().await.expect_err("the new one is not served yet");
    old.config.store(new.config.load_full());
    new_client.get(&url).send().await.expect("the new one is served");
    old_client.get(&url).send().await.expect("an open connection goes on");
    old.client().get(&url).send().await.expect_err("the old one is served no more");
}

#[tokio::test]
async fn a_stop_lets_a_running_call_end_and_accepts_no_more() {
    let held = Held::default();
    let server = Running::start(held.router(), Limits::default()).await;
    let mut idle = server.connect().await;
    idle.send(GET).await;
    idle.until("hello").await;
    let mut client = server.connect().await;
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await;
    held.begun.notified().await;
    server.stop.cancel();
    assert_eq!(idle.rest().await, "", "an idle connection is closed at once");
    let refused = tokio::net::TcpStream::connect(server.address).await;
    assert!(refused.is_err(), "nobody listens any more");
    tokio::time::sleep(SHORT).await;
    held.go.notify_one();
    client.until("held").await;
    assert_eq!(server.stopped().await.cut, 0);
}

#[tokio::test]
async fn a_call_that_outlives_the_drain_time_is_cut() {
    let held = Held::default();
    let limits = Limits { drain_timeout: SHORT, ..Limits::default() };
    let server = Running::start(held.router(), limits).await;
    let mut client = server.connect().await;
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await;
    held.begun.notified().await;
    server.stop.cancel();
    assert_eq!(server.stopped().await.cut, 1);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn http_2_is_spoken_without_tls_too_and_drained_as_well() {
    let held = Held::default();
    let server = Running::start(held.router(), Limits::default()).await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .expect("a client");
    let url = format!("http://{}/held", server.address);
    let call = tokio::spawn(client.get(url).send());
    held.begun.notified().await;
    server.stop.cancel();
    held.go.notify_one();
    let answer = call.await.expect("no panic").expect("it is answered");
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.text().await.expect("a text"), "held");
    assert_eq!(server.stopped().await.cut, 0);
}

#[tokio::test]
async fn an_idle_http_2_connection_is_closed_at_the_idle_time_out() {
    let limits = Limits { idle_timeout: SHORT, connections: 1, ..Limits::default() };
    let server = Running::start(hello(), limits).await;
    let client = || {
        reqwest::Client::builder()
            .http2_prior_knowledge()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client")
    };
    let url = format!("http://{}/", server.address);
    let idle = client();
    idle.get(&url).send().await.expect("it answers");
    // There is one seat, so this one is answered only when the idle one has lost it.
    client().get(&url).send().await.expect("it answers");
    drop(idle);
}

#[tokio::test]
async fn a_body_passes_in_both_directions() {
    async fn echo(request: Request) -> Vec<u8> {
        request.into_body().collect().await.expect("a body").to_bytes().to_vec()
    }
    let server = Running::start(Router::new().route("/", post(echo)), Limits::default()).await;
    let mut client = server.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nworld").await;
    client.until("world").await;
}
