//! Each instance has a port of its own, and what somebody else has is left to him.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;

use super::place::{Place, begin, bound, made, removed, settled};
use crate::support::{Broker, eventually, new_id};

fn listen(port: u16) -> TcpListener {
    TcpListener::bind(("127.0.0.1", port)).expect("a port that nobody has")
}

#[tokio::test]
async fn two_instances_have_two_ports_and_one_that_is_taken_is_skipped() {
    let place = Place::new();
    let (first, last) = place.ports;
    let _somebody = listen(first + 1);
    let broker = place.broker().await;
    let mut instances = Vec::new();
    for expected in [first, first + 2, last] {
        let instance = made(&broker).await;
        let credentials = bound(&broker, &instance).await;
        assert_eq!(credentials.get("port"), expected.to_string());
        instances.push(instance);
    }
    let (status, answer) = begin(&broker, &new_id()).await;
    assert_eq!((status, &answer["error"]), (422, &json!("NoPortLeft")), "{answer}");
    // The port of one that was removed is free again; that of one that only does not run is not.
    let gone = instances.remove(1);
    removed(&place, &broker, &gone).await;
    let instance = made(&broker).await;
    assert_eq!(bound(&broker, &instance).await.get("port"), (first + 2).to_string());
    instances.push(instance);
    for instance in instances {
        removed(&place, &broker, &instance).await;
    }
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn a_port_that_is_taken_after_it_was_chosen_is_given_up() {
    let place = Place::new();
    let broker = place.broker().await;
    let instance = new_id();
    assert_eq!(begin(&broker, &instance).await.0, 202);
    // It is in the books by now, and initdb has just begun.
    let _somebody = listen(place.ports.0);
    let (state, said) = settled(&broker, &instance).await;
    assert_eq!(state, "succeeded", "{said:?}");
    let credentials = bound(&broker, &instance).await;
    assert_eq!(credentials.get("port"), (place.ports.0 + 1).to_string());
    credentials.connect().await.expect("connected");
    removed(&place, &broker, &instance).await;
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn an_instance_waits_for_its_port_because_others_know_it() {
    let place = Place::new();
    let broker = place.broker().await;
    let instance = made(&broker).await;
    let credentials = bound(&broker, &instance).await;
    let pid = place.postmaster(&instance);
    // Somebody listens where it did before it is back.
    broker.finish().await.expect("ended well");
    let end = nix::sys::signal::Signal::SIGINT;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), end).expect("ended");
    let somebody = eventually(async || {
        TcpListener::bind(("127.0.0.1", place.ports.0)).map_err(|error| error.to_string())
    })
    .await;
    let mut options = place.options().await;
    // Somebody lets us in and says nothing.
    options.timeouts.connect = Duration::from_secs(1);
    let broker = Broker::start(options).await;
    let (status, answer) = super::place::bind(&broker, &instance, &new_id()).await;
    assert_eq!(status, 503, "{answer}");
    drop(somebody);
    eventually(|| async {
        credentials.connect().await.map(drop).map_err(|error| format!("{error:?}"))
    })
    .await;
    removed(&place, &broker, &instance).await;
    broker.finish().await.expect("ended well");
}
