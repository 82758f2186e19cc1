//! Through the proxy that the server's own environment names.

use std::{sync::Arc, time::Duration};

use super::{
    super::{Authorization, Host, Limits, Pass, Proxy, Rules, Upstream},
    support::{Site, ask, tls},
};
use crate::connector::Connector;

const HOST: &str = "index.example";

fn door(upstream: &Site, bypass: &[&str], limits: Limits, further: Vec<Host>) -> (Proxy, Pass) {
    let known = |plain, port| Host { name: HOST.to_owned(), port, plain, authorization: None };
    let mut hosts = vec![known(false, 443), known(true, 80)];
    hosts.extend(further);
    let upstream = Upstream {
        host: upstream.address.ip().to_string(),
        port: upstream.port(),
        authorization: Some(Authorization::basic("us", "pr0xy")),
        bypass: bypass.iter().map(|host| (*host).to_owned()).collect(),
    };
    let rules = Rules { settings: "build.pip", hosts, upstream: Some(upstream) };
    let proxy = Proxy::new(limits, Arc::new(Connector::new(true)));
    let pass = proxy.admit(Arc::new(rules)).unwrap();
    (proxy, pass)
}

const CONNECT: &str =
    "CONNECT index.example:443 HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\n\r\nhello";

#[tokio::test]
async fn a_tunnel_goes_through_it_with_the_servers_credentials() {
    let upstream = Site::answering_and_echoing("HTTP/1.1 200 OK\r\nVia: it\r\n\r\nearly ").await;
    let (proxy, pass) = door(&upstream, &[], Limits::default(), Vec::new());
    let answer = ask(&proxy, &pass, CONNECT).await;
    assert_eq!(answer, "HTTP/1.1 200 Connection established\r\n\r\nearly hello");
    let expect = "CONNECT index.example:443 HTTP/1.1\r\nHost: index.example:443\r\n\
                  Proxy-Authorization: Basic dXM6cHIweHk=\r\n\r\n";
    assert_eq!(upstream.heard(), [expect]);
}

#[tokio::test]
async fn a_plain_host_is_asked_for_by_its_whole_url() {
    let upstream = Site::answering("HTTP/1.1 200 OK\r\n\r\nok").await;
    let (proxy, pass) = door(&upstream, &[], Limits::default(), Vec::new());
    let answer = ask(&proxy, &pass, "GET http://index.example/a?b HTTP/1.1\r\nA: b\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let expect = "GET http://index.example/a?b HTTP/1.1\r\nProxy-Authorization: Basic dXM6cHIweHk=\r\n\
                  Host: index.example\r\nConnection: close\r\nA: b\r\n\r\n";
    assert_eq!(upstream.heard(), [expect]);
}

#[tokio::test]
async fn whatever_is_wrong_with_it_is_said_without_its_credentials() {
    let check = async |upstream: Site, limits: Limits, expect: &str| {
        let (proxy, pass) = door(&upstream, &[], limits, Vec::new());
        let answer = ask(&proxy, &pass, CONNECT).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expect}")), "{answer}");
        let said = format!("{answer} {:?} {proxy:?}", pass.refused());
        assert!(!said.contains("pr0xy") && !said.contains("dXM6cHIweHk"), "{said}");
    };
    let refusing = Site::answering("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let words = "502 the upstream proxy answered 407 for index.example:443\r\n";
    check(refusing, Limits::default(), words).await;
    let strange = Site::answering("SSH-2.0-OpenSSH\r\n\r\n").await;
    check(strange, Limits::default(), "502 the upstream proxy does not speak HTTP\r\n").await;
    let short = Site::answering("HTTP/1.1 200 OK\r\n").await;
    check(short, Limits::default(), "502 the upstream proxy closed the connection\r\n").await;
    let limits = Limits { answer: Duration::from_millis(50), ..Limits::default() };
    let words = "504 the upstream proxy did not answer in time\r\n";
    check(Site::silent().await, limits, words).await;
}

#[tokio::test]
async fn hosts_that_are_excepted_are_reached_directly_and_others_are_still_refused() {
    let upstream = Site::answering("HTTP/1.1 500 no\r\n\r\n").await;
    let site = Site::echo().await;
    let (proxy, pass) = door(&upstream, &["127.0.0.1"], Limits::default(), vec![tls(&site)]);
    let request = format!("CONNECT {} HTTP/1.1\r\n\r\nhello", site.address);
    assert!(ask(&proxy, &pass, &request).await.ends_with("\r\n\r\nhello"));
    let refused = ask(&proxy, &pass, "CONNECT evil.example:443 HTTP/1.1\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    assert_eq!(upstream.heard(), Vec::<String>::new());
}
