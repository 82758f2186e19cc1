//! Each bound, at the bound.

use std::time::Duration;

use super::{
    super::{Limits, head::HEAD_BYTES_MAX},
    support::{Site, ask, authority, dial, hear, hear_all, narrow_door, send, tls},
};

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn what_is_no_request_is_answered_and_not_passed_on() {
    let site = Site::echo().await;
    let (proxy, pass) = narrow_door(vec![tls(&site)], Limits::default());
    let check = async |request: &str, status: u16| {
        let answer = ask(&proxy, &pass, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    };
    check("\0\x01\x02 garbage\r\n\r\n", 400).await;
    check("SSH-2.0-OpenSSH_9.2\r\n\r\n", 400).await;
    check("POST http://127.0.0.1/ HTTP/1.1\r\n\r\n", 405).await;
    check(&"a".repeat(HEAD_BYTES_MAX + 1), 431).await;
    assert_eq!(ask(&proxy, &pass, "CONN").await, "", "an end within the head needs no answer");
}

#[tokio::test]
async fn a_request_that_does_not_come_is_answered_408() {
    let limits = Limits { head: SHORT, ..Limits::default() };
    let (proxy, pass) = narrow_door(Vec::new(), limits);
    let mut stream = dial(&proxy, &pass).await.unwrap();
    send(&mut stream, "CONNECT ").await;
    assert!(hear_all(&mut stream).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_build_receives_as_much_as_it_may_over_all_its_connections() {
    let site = Site::echo().await;
    let limits = Limits { received_bytes: 10, ..Limits::default() };
    let (proxy, pass) = narrow_door(vec![tls(&site)], limits);
    let open = format!("CONNECT {} HTTP/1.1\r\n\r\n", authority(&site));
    let get = async |text: &str| {
        let answer = ask(&proxy, &pass, &format!("{open}{text}")).await;
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    assert_eq!(get("123456").await, "123456");
    assert_eq!(get("12345").await, "", "one too many");
    assert!(pass.refused()[0].ends_with("the build has received as much as it may"));
    assert_eq!(get("1234").await, "1234", "the last byte");
    assert_eq!(get("1").await, "");
}

#[tokio::test]
async fn a_build_sends_as_much_as_it_may() {
    let site = Site::echo().await;
    let limits = Limits { sent_bytes: 5, ..Limits::default() };
    let (proxy, pass) = narrow_door(vec![tls(&site)], limits);
    let open = format!("CONNECT {} HTTP/1.1\r\n\r\n", authority(&site));
    let mut stream = dial(&proxy, &pass).await.unwrap();
    send(&mut stream, &open).await;
    assert!(hear(&mut stream).await.starts_with("HTTP/1.1 200"));
    send(&mut stream, "12345").await;
    assert_eq!(hear(&mut stream).await, "12345");
    send(&mut stream, "6").await;
    assert_eq!(hear_all(&mut stream).await, "");
    assert!(pass.refused()[0].ends_with("the build has sent as much as it may"));
}

#[tokio::test]
async fn a_connection_too_many_is_answered_503_and_a_place_is_free_again_afterwards() {
    let site = Site::echo().await;
    let limits = Limits { connections: 1, ..Limits::default() };
    let (proxy, pass) = narrow_door(vec![tls(&site)], limits);
    let open = format!("CONNECT {} HTTP/1.1\r\n\r\n", authority(&site));
    let mut first = dial(&proxy, &pass).await.unwrap();
    send(&mut first, &open).await;
    assert!(hear(&mut first).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&proxy, &pass, &open).await.starts_with("HTTP/1.1 503 "));
    drop(first);
    let mut last = String::new();
    for _ in 0..1_000 {
        last = ask(&proxy, &pass, &open).await;
        if last.starts_with("HTTP/1.1 200") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the place was never free again: {last}");
}

#[tokio::test]
async fn a_silent_connection_is_closed_and_so_is_one_that_lives_too_long() {
    let site = Site::silent().await;
    let check = async |limits: Limits, words: &str| {
        let (proxy, pass) = narrow_door(vec![tls(&site)], limits);
        let mut stream = dial(&proxy, &pass).await.unwrap();
        send(&mut stream, &format!("CONNECT {} HTTP/1.1\r\n\r\n", authority(&site))).await;
        assert!(hear_all(&mut stream).await.starts_with("HTTP/1.1 200"));
        assert!(pass.refused()[0].contains(words), "{:?}", pass.refused());
    };
    check(Limits { idle: SHORT, ..Limits::default() }, "nothing moved for too long").await;
    check(Limits { total: SHORT, ..Limits::default() }, "had lived too long").await;
}
