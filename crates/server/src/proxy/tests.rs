//! The proxy against servers on loopback, through the same door as builds: a pass and a dial.

mod bounds;
mod support;
mod upstream;

use super::*;
use support::{Site, ask, authority, door, plain, tls};

#[tokio::test]
async fn a_tunnel_to_an_admitted_host_carries_bytes_both_ways_to_the_end_of_each() {
    let site = Site::echo().await;
    let (proxy, pass) = door(vec![tls(&site)]);
    let request = format!("CONNECT {} HTTP/1.1\r\nHost: x\r\n\r\nhello", authority(&site));
    let answer = ask(&proxy, &pass, &request).await;
    assert_eq!(answer, "HTTP/1.1 200 Connection established\r\n\r\nhello");
    assert_eq!(pass.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_is_resolved_and_each_of_its_addresses_tried() {
    let site = Site::echo().await;
    let mut host = tls(&site);
    host.name = "localhost".to_owned();
    let (proxy, pass) = door(vec![host]);
    let request = format!("CONNECT LocalHost.:{} HTTP/1.1\r\n\r\nhello", site.port());
    assert!(ask(&proxy, &pass, &request).await.ends_with("\r\n\r\nhello"));
}

#[tokio::test]
async fn everything_that_is_not_admitted_is_refused_in_words_that_reach_the_log() {
    let site = Site::echo().await;
    let (proxy, pass) = door(vec![tls(&site)]);
    let port = site.port();
    let check = async |request: String, status: &str| {
        let answer = ask(&proxy, &pass, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    };
    let no = "is not among the hosts of build.pip";
    check(
        format!("CONNECT 127.0.0.2:{port} HTTP/1.1\r\n\r\n"),
        &format!("403 https://127.0.0.2:{port} {no}"),
    )
    .await;
    check(
        "CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n".to_owned(),
        &format!("403 https://127.0.0.1:1 {no}"),
    )
    .await;
    check("CONNECT evil.example:443 HTTP/1.1\r\n\r\n".to_owned(), "403 ").await;
    let fetch = format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n");
    check(fetch, &format!("403 http://127.0.0.1:{port} {no}")).await;
    check("CONNECT evil.example:443 HTTP/1.1\r\n\r\n".to_owned(), "403 ").await;
    assert_eq!(pass.refused().len(), 4, "each once: {:?}", pass.refused());
    assert_eq!(site.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn what_the_connector_refuses_is_not_reached_even_if_admitted() {
    let site = Site::echo().await;
    let host =
        |name: &str, port| Host { name: name.to_owned(), port, plain: false, authorization: None };
    let hosts = vec![tls(&site), host("169.254.169.254", 80), host("10.0.0.1", 443)];
    let connector = Connector::new(false);
    connector.set_own(vec![site.address]);
    let rules = Rules { settings: "build.pip", hosts, upstream: None };
    let proxy = Proxy::new(Limits::default(), Arc::new(connector));
    let pass = proxy.admit(Arc::new(rules)).unwrap();
    let check = async |place: &str, words: &str| {
        let answer = ask(&proxy, &pass, &format!("CONNECT {place} HTTP/1.1\r\n\r\n")).await;
        let expect = format!("HTTP/1.1 403 {place} must not be reached: {words}\r\n");
        assert!(answer.starts_with(&expect), "{answer}");
    };
    check(&authority(&site), "it is an address of this server itself").await;
    check("169.254.169.254:80", "link-local addresses are not allowed").await;
    check("10.0.0.1:443", "private addresses are not allowed").await;
    assert_eq!(site.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn a_host_that_is_not_there_is_told_from_one_that_is_refused() {
    let gone = Site::echo().await;
    let (proxy, pass) = door(vec![tls(&gone)]);
    let place = authority(&gone);
    gone.close().await;
    let answer = ask(&proxy, &pass, &format!("CONNECT {place} HTTP/1.1\r\n\r\n")).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 502 {place} cannot be reached")), "{answer}");
}

#[tokio::test]
async fn a_plain_host_is_fetched_from_with_our_credentials_and_without_hop_headers() {
    let site = Site::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let mut host = plain(&site);
    host.authorization = Some(Authorization::basic("me", "hunter2"));
    let (proxy, pass) = door(vec![host]);
    let place = authority(&site);
    let request = format!(
        "GET http://{place}/simple/?a=b HTTP/1.1\r\nHost: elsewhere\r\nAccept: text/html\r\nX-Hop: 1\r\n\
         Connection: keep-alive, X-Hop\r\nProxy-Authorization: Basic eA==\r\nAuthorization: Basic eA==\r\n\r\n\
         GET http://{place}/second HTTP/1.1\r\n\r\n"
    );
    let answer = ask(&proxy, &pass, &request).await;
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let expect = format!(
        "GET /simple/?a=b HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\nAuthorization: Basic bWU6aHVudGVyMg==\r\n\
         Accept: text/html\r\n\r\n"
    );
    assert_eq!(site.heard(), [expect]);
}

#[tokio::test]
async fn a_pass_is_for_one_build_and_ends_with_it() {
    let site = Site::silent().await;
    let (proxy, pass) = door(vec![tls(&site)]);
    let other = proxy.admit(Arc::default()).unwrap();
    assert_ne!(pass.endpoint(), other.endpoint());
    let mut open = support::dial(&proxy, &pass).await.unwrap();
    support::send(&mut open, &format!("CONNECT {} HTTP/1.1\r\n\r\n", authority(&site))).await;
    assert!(support::hear(&mut open).await.starts_with("HTTP/1.1 200"));
    let endpoint = pass.endpoint();
    drop(pass);
    assert_eq!(support::hear_all(&mut open).await, "", "its connections are closed");
    let refused = dispatch_runtime::network::Dial::dial(&proxy, &endpoint).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    let elsewhere = Endpoint { host: "localhost".to_owned(), ..other.endpoint() };
    assert!(dispatch_runtime::network::Dial::dial(&proxy, &elsewhere).await.is_err());
    assert!(support::dial(&proxy, &other).await.is_ok());
}
