//! Requests through the gateway to functions, over HTTP and HTTPS.

use std::{sync::Arc, time::Duration};

use dispatch_gateway::{CallLimits, Gateway};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    fake::{self, Functions, gateway},
    platform::{Certificate, PATIENCE, Running},
};

const APIS: &[&str] = &[
    "testorg noschema /hello GET,POST,PUT,DELETE",
    "testorg context /ctx GET,PUT,POST cors",
    "testorg noschema /https-only POST https cors",
    "testorg noschema /off GET off",
    "testorg noschema /hosted GET host=h.example",
    "testorg noschema /guarded * auth=basic cors",
    "testorg raising /raising * cors",
    "testorg panicking /panicking *",
    "testorg silent /silent *",
    "testorg busy /busy *",
    "testorg held /held *",
    "testorg length /length *",
    "testorg noschema /options GET,OPTIONS",
    "testorg context /options-cors GET,OPTIONS cors",
    "testorg noschema /multi GET",
    "testorg noschema /multi PUT cors",
    "dispatch noschema /root *",
];

async fn start() -> (Running, Gateway, Arc<Functions>) {
    let (gateway, functions) = gateway(APIS, CallLimits::default());
    (Running::gateway(gateway.clone(), None).await, gateway, functions)
}

/// One request on a connection of its own, and its answer without date.
async fn exchange(server: &Running, request: &str) -> String {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let first = lines.next().expect("a request line");
    let mut wire = format!("{first} HTTP/1.1\r\nConnection: close\r\n");
    for line in lines {
        wire += &format!("{line}\r\n");
    }
    if !body.is_empty() {
        wire += &format!("Content-Length: {}\r\n", body.len());
    }
    let mut client = server.connect().await;
    client.send(&format!("{wire}\r\n{body}")).await;
    let answer = client.rest().await;
    let hidden = ["date:", "connection: close", "content-length:"];
    let shown = |line: &&str| !hidden.iter().any(|start| line.starts_with(start));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<&str> = head.lines().filter(shown).collect();
    if let Some(headers) = lines.get_mut(1..) {
        headers.sort_unstable();
    }
    format!("{}\n{body}", lines.join("\n"))
}

const OK: &str = "HTTP/1.1 200 OK\ncontent-type: application/json\n";
const NO_API: &str = "HTTP/1.1 404 Not Found\ncontent-type: application/json\n{\"message\":\"no API found with those values\"}\n";
const CORS: &str = "access-control-allow-headers: *\naccess-control-allow-methods: *\naccess-control-allow-origin: *\n";

#[tokio::test]
async fn requests_are_answered_as_the_first_dispatch_answered_them() {
    let (server, _, _) = start().await;
    let check = async |request: &str, expect: &str| {
        assert_eq!(exchange(&server, request).await, expect, "{request}");
    };
    let ok = |body: &str| format!("{OK}{body}\n");
    check("GET /", NO_API).await;
    check("GET /testorg/nope", NO_API).await;
    check("GET /hello", NO_API).await;
    check(
        "GET /testorg/hello?name=vmware&place=PaloAlto",
        &ok(r#"{"name":"vmware","place":"PaloAlto"}"#),
    )
    .await;
    check("GET /testorg/hello", &ok("{}")).await;
    let json = "PUT /testorg/hello\nContent-Type: application/json\n\n";
    check(&format!("{json}{{\"name\": \"VMware\"}}"), &ok("{\"name\": \"VMware\"}")).await;
    let bad = |code: &str, message: &str| {
        format!("HTTP/1.1 {code}\ncontent-type: application/json\n{{\"message\":\"{message}\"}}\n")
    };
    check(&format!("{json}not a json"), &bad("400 Bad Request", "request body is not json")).await;
    check(
        "PUT /testorg/hello\nContent-Type: application/x-www-form-urlencoded\n\nname=VMware&place=Palo Alto",
        &ok(r#"{"name":"VMware","place":"Palo Alto"}"#),
    )
    .await;
    check(
        "PUT /testorg/hello\nContent-Type: text/plain\n\nhi",
        &bad("415 Unsupported Media Type", "request body type is not supported: text/plain"),
    )
    .await;
    check("PUT /testorg/hello", &ok("{}")).await;
    check("PATCH /testorg/hello", NO_API).await;
    check(
        "PUT /testorg/hello\nx-dispatch-org: invalid\nContent-Type: application/json\n\n{\"a\":1}",
        &ok("{\"a\":1}"),
    )
    .await;
    check("OPTIONS /testorg/hello\nAccess-Control-Request-Method: PUT", "HTTP/1.1 200 OK\n").await;
    check("GET /testorg/off", NO_API).await;
    check("GET /testorg/hosted", NO_API).await;
    check("GET /testorg/hosted\nHost: h.example", NO_API).await;
    check("GET /hosted\nHost: h.example", &ok("{}")).await;
    check("GET /hosted\nHost: h.example:8081", &ok("{}")).await;
    // Unlike it: paths are prefixes, and the default organization has the root.
    check("GET /testorg/hello/sub", &ok("{}")).await;
    check("GET /root?a=1", &ok(r#"{"a":"1"}"#)).await;
    check("GET /dispatch/root", &ok("{}")).await;
}

#[tokio::test]
async fn a_function_sees_the_request_that_called_it() {
    let (server, _, functions) = start().await;
    let body = r#"{"a": 1}"#;
    let request = "PUT /testorg/ctx?q=1\nHost: a\nX-Custom: v\nX-Custom: w\nContent-Type: application/json\nCookie: c=d";
    exchange(&server, &format!("{request}\n\n{body}")).await;
    let call = functions.last();
    let expect = json!({
        "args": "q=1", "method": "PUT", "request": "/testorg/ctx?q=1", "request-uri": "/testorg/ctx?q=1",
        "scheme": "http", "server-protocol": "HTTP/1.1", "upstream-uri": "context", "uri": "/testorg/ctx?q=1",
        "host": "a", "x-custom": "v, w", "content-type": "application/json", "content-length": "8",
        "connection": "close", "cookie": "c=d",
    });
    assert_eq!(Value::Object(call.http_context), expect);
    assert_eq!(call.input, body);
    assert!(call.blocking);
    assert_eq!(&*call.organization.name, "testorg");
    assert!(call.peer.is_some_and(|peer| peer.ip().is_loopback()));
    // A header covers a fact of its name, as in v0.1.22.
    exchange(&server, "GET /testorg/ctx\nScheme: mine").await;
    assert_eq!(functions.last().http_context["scheme"], "mine");
}

#[tokio::test]
async fn a_call_that_is_not_waited_for_is_accepted() {
    let (server, _, functions) = start().await;
    for (value, blocking) in [("false", false), ("False", false), ("true", true), ("0", true)] {
        let answer = exchange(
            &server,
            &format!("PUT /testorg/hello\nx-dispatch-blocking: {value}\nContent-Type: application/json\n\n1"),
        )
        .await;
        assert_eq!(functions.last().blocking, blocking, "{value}");
        let expect = if blocking { format!("{OK}1\n") } else { "HTTP/1.1 202 Accepted\n".into() };
        assert_eq!(answer, expect);
    }
}

#[tokio::test]
async fn what_fails_has_its_status_and_says_no_more_than_it_should() {
    let (server, _, _) = start().await;
    let check = async |path: &str, expect: &str| {
        assert_eq!(exchange(&server, &format!("GET /testorg/{path}")).await, expect, "{path}");
    };
    check(
        "raising",
        &format!(
            "HTTP/1.1 502 Bad Gateway\n{CORS}content-type: application/json\n{{\"message\":\"division by zero\",\"error\":\"FunctionError\"}}\n"
        ),
    )
    .await;
    check(
        "panicking",
        "HTTP/1.1 500 Internal Server Error\ncontent-type: application/json\n{\"message\":\"the function could not be run\",\"error\":\"SystemError\"}\n",
    )
    .await;
    check(
        "busy",
        "HTTP/1.1 503 Service Unavailable\ncontent-type: application/json\nretry-after: 3\n{\"message\":\"too many calls\",\"error\":\"Overloaded\"}\n",
    )
    .await;
    check("silent", "HTTP/1.1 200 OK\n").await;
    let hosts = "GET /testorg/hello\nHost: a\nHost: b";
    assert!(exchange(&server, hosts).await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn an_api_for_https_alone_is_refused_over_http_without_a_call() {
    let (plain, gateway, functions) = start().await;
    let request = "POST /testorg/https-only\nContent-Type: application/json\n\n{}";
    let expect = format!(
        "HTTP/1.1 426 Upgrade Required\n{CORS}connection: upgrade, close\ncontent-type: application/json\nupgrade: TLS/1.2, HTTP/1.1\n{{\"message\":\"Please use HTTPS protocol\"}}\n"
    );
    assert_eq!(exchange(&plain, request).await, expect);
    assert_eq!(functions.calls(), 0);

    let certificate = Certificate::make();
    let secure = Running::gateway(gateway, Some(Arc::clone(&certificate.config))).await;
    let client = certificate.client();
    let url = |path: &str| format!("https://localhost:{}{path}", secure.address.port());
    let answer = client.post(url("/testorg/https-only")).json(&json!({"a": 1})).send().await;
    let answer = answer.expect("it is answered");
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<Value>().await.expect("JSON"), json!({"a": 1}));
    client.get(url("/testorg/ctx")).send().await.expect("it is answered");
    let context = functions.last().http_context;
    assert_eq!(context["scheme"], "https");
    assert_eq!(context["server-protocol"], "HTTP/2.0");
    let hosted = format!("https://h.example:{}/hosted", secure.address.port());
    assert_eq!(client.get(hosted).send().await.expect("it is answered").status(), 200);
}

#[tokio::test]
async fn other_sites_may_read_what_has_cors() {
    let (server, _, functions) = start().await;
    let origin = "Origin: http://a.example";
    let plain = exchange(&server, &format!("GET /testorg/ctx\n{origin}")).await;
    assert!(plain.starts_with(&format!("HTTP/1.1 200 OK\n{CORS}")), "{plain}");
    let refused = exchange(&server, "PUT /testorg/ctx\nContent-Type: text/plain\n\nx").await;
    assert!(refused.contains("415") && refused.contains(CORS), "{refused}");
    let calls = functions.calls();
    let preflight = format!("{origin}\nAccess-Control-Request-Method: PUT");
    let check = async |path: &str, headers: &str, expect: &str| {
        let answer = exchange(&server, &format!("OPTIONS /testorg/{path}\n{headers}")).await;
        assert_eq!(answer, expect, "{path}");
    };
    let allowed = format!("HTTP/1.1 200 OK\n{CORS}");
    check("ctx", &preflight, &allowed).await;
    check("ctx", origin, &allowed).await;
    check("guarded", &preflight, &allowed).await;
    check("options-cors", &preflight, &allowed).await;
    check("hello", &preflight, "HTTP/1.1 200 OK\n").await;
    check("nope", &preflight, NO_API).await;
    // What counts is the API of the method that is to follow.
    check("multi", &preflight, &allowed).await;
    let reading = format!("{origin}\nAccess-Control-Request-Method: GET");
    check("multi", &reading, "HTTP/1.1 200 OK\n").await;
    assert_eq!(functions.calls(), calls, "no preflight reaches a function");
    // Whoever asks for OPTIONS gets it.
    check("options?a=1", origin, &format!("{OK}{{\"a\":\"1\"}}\n")).await;
    check("options?a=1", &preflight, &format!("{OK}{{\"a\":\"1\"}}\n")).await;
}

#[tokio::test]
async fn an_api_whose_authentication_cannot_be_enforced_is_not_open() {
    let (server, _, functions) = start().await;
    for request in ["GET /testorg/guarded", "POST /testorg/guarded\nAuthorization: Basic eDp5"] {
        let answer = exchange(&server, request).await;
        assert!(answer.starts_with("HTTP/1.1 501"), "{answer}");
    }
    assert_eq!(functions.calls(), 0);
}

#[tokio::test]
async fn a_body_is_bounded_at_the_last_byte_and_its_sender_hears_of_it() {
    let (server, _, functions) = start().await;
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
    let url = format!("http://{}/testorg/length", server.address);
    let max = CallLimits::default().body_bytes;
    let check = async |length: usize, chunked: bool, expect: u16| {
        let body = vec![b'1'; length];
        let body = if chunked {
            let chunks: Vec<_> =
                body.chunks(100_000).map(|c| Ok::<_, String>(c.to_vec())).collect();
            reqwest::Body::wrap_stream(futures::stream::iter(chunks))
        } else {
            body.into()
        };
        let request = client.post(&url).header("content-type", "application/json").body(body);
        let answer = request.send().await.expect("the answer arrives");
        assert_eq!(answer.status(), expect, "{length} {chunked}");
        answer.text().await.expect("a text")
    };
    assert_eq!(check(max, false, 200).await, format!("{max}\n"));
    assert_eq!(check(max, true, 200).await, format!("{max}\n"));
    let calls = functions.calls();
    check(max + 1, false, 413).await;
    check(max + 1, true, 413).await;
    check(2 * max, false, 413).await;
    // Who sends everything before reading anything hears of it too.
    let mut stubborn = server.connect().await;
    let head = format!("PUT /testorg/length HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 2 * max);
    stubborn.send(&(head + &"1".repeat(2 * max))).await;
    assert!(stubborn.until("}\n").await.starts_with("HTTP/1.1 413"));
    // Where the length is said, nothing need be sent to hear of it.
    let mut early = server.connect().await;
    let head = format!("PUT /testorg/length HTTP/1.1\r\nContent-Length: {}\r\n\r\n", max + 1);
    early.send(&head).await;
    assert!(early.until("}\n").await.starts_with("HTTP/1.1 413"));
    assert_eq!(functions.calls(), calls);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let limits = CallLimits { body_timeout: Duration::from_millis(200), ..CallLimits::default() };
    let (gateway, functions) = gateway(APIS, limits);
    let server = Running::gateway(gateway, None).await;
    let mut client = server.connect().await;
    client.send("PUT /testorg/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{").await;
    let answer = client.until("}\n").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    // One that is broken off calls nothing either.
    let mut client = server.connect().await;
    client.send("PUT /testorg/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{").await;
    client.0.shutdown().await.expect("open");
    client.rest().await;
    assert_eq!(functions.calls(), 0);
}

#[tokio::test]
async fn bodies_that_find_no_room_are_turned_away() {
    let limits = CallLimits { buffered_bytes: 1000, ..CallLimits::default() };
    let (gateway, functions) = gateway(APIS, limits);
    let server = Running::gateway(gateway, None).await;
    let body = "1".repeat(900);
    let mut holder = server.connect().await;
    let head = "Host: a\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n";
    holder.send(&format!("PUT /testorg/held HTTP/1.1\r\n{head}{body}")).await;
    functions.begun.notified().await;
    let request = format!("PUT /testorg/hello\nContent-Type: application/json\n\n{body}");
    let answer = exchange(&server, &request).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
    functions.go.notify_one();
    holder.until("held").await;
    assert!(exchange(&server, &request).await.starts_with(OK));
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_end_the_call() {
    let (server, gateway, functions) = start().await;
    let mut client = server.connect().await;
    client.send("GET /testorg/held HTTP/1.1\r\nHost: a\r\n\r\n").await;
    functions.begun.notified().await;
    drop(client);
    // The server has seen the end of the connection when the listener's stop has nothing to wait for.
    server.stop.cancel();
    assert_eq!(server.stopped().await.cut, 0);
    let mut ended = Box::pin(gateway.calls_ended());
    assert!(timeout(Duration::from_millis(50), &mut ended).await.is_err(), "it runs still");
    functions.go.notify_one();
    timeout(PATIENCE, functions.ended.notified()).await.expect("it goes on to its end");
    timeout(PATIENCE, ended).await.expect("no call is left");
}

#[tokio::test]
async fn a_new_table_is_used_from_the_next_request_on() {
    let (server, gateway, functions) = start().await;
    let mut running = server.connect().await;
    running.send("GET /testorg/held HTTP/1.1\r\nHost: a\r\n\r\n").await;
    functions.begun.notified().await;
    gateway.publish(fake::table(&["testorg noschema /goodbye GET"]));
    assert_eq!(exchange(&server, "GET /testorg/goodbye").await, format!("{OK}{{}}\n"));
    assert_eq!(exchange(&server, "GET /testorg/hello").await, NO_API);
    functions.go.notify_one();
    running.until("held").await;
    assert_eq!(gateway.table().len(), 1);
}
