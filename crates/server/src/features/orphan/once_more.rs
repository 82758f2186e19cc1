//! What was asked for twice goes at once, and is removed once more when its first request cannot come any more.

use std::time::Duration;

use dispatch_engine::Clock as _;
use dispatch_osb::fake::{CallKind, Fault, RawAnswer};
use serde_json::{Value, json};

use crate::testing::{TestPlatform, TestServer, World};

const ALL: &str = "/v1/orphan";
const DB: &str = "/v1/serviceinstance/db";
const BROKER: &str = "/v1/servicebroker/fake";

/// An instance of which `call` was sent twice, as its first answer was of no use. No time has passed since.
async fn asked_for_twice(platform: &TestPlatform, call: CallKind) -> Value {
    platform.broker.fault(call, Fault::After(RawAnswer::new(200, "<html>")));
    platform.instance("db").await
}

/// It goes without a second passing; the one orphan that is left then.
async fn deleted(platform: &TestPlatform) -> Value {
    let now = || platform.world.clock.now();
    let before = now();
    platform.delete(DB).await;
    platform.quiet().await;
    assert_eq!((platform.get(DB).await.status, now()), (404, before), "at its normal speed");
    let orphans = platform.get(ALL).await.body;
    assert_eq!(orphans.as_array().unwrap().len(), 1, "{orphans}");
    let due = before.as_second() + 60;
    assert_eq!(
        (&orphans[0]["tries"], &orphans[0]["nextTryTime"], &orphans[0]["status"]),
        (&json!(0), &json!(due), &json!("DELETING"))
    );
    orphans[0].clone()
}

async fn until_clean(platform: &TestPlatform) {
    platform.until(ALL, |seen| (seen.body == json!([])).then_some(())).await;
}

#[tokio::test]
async fn an_instance_that_the_broker_makes_late_is_found_although_nobody_has_it_any_more() {
    let platform = TestPlatform::start().await;
    let asked = asked_for_twice(&platform, CallKind::Provision).await;
    let books = platform.broker.books();
    let orphan = deleted(&platform).await;
    assert_eq!((&orphan["instanceId"], orphan.get("bindingId")), (&asked["id"], None));
    let cause = "its request was sent twice, and the broker may carry out the first one late";
    assert_eq!(orphan["cause"], cause);
    platform.broker.edit(|now| now.instances = books.instances);
    // Its name is free, and whoever takes it has nothing to do with what was before.
    let again = platform.instance("db").await;
    assert_ne!(again["id"], asked["id"]);
    platform.delete(DB).await;
    platform.quiet().await;
    assert_eq!(platform.get(DB).await.status, 404);
    until_clean(&platform).await;
    assert!(platform.broker.books().instances.is_empty());
    platform.finish().await;
}

#[tokio::test]
async fn an_instance_does_not_wait_for_a_binding_that_may_be_made_late() {
    let platform = TestPlatform::start().await;
    let asked = asked_for_twice(&platform, CallKind::Bind).await;
    let orphan = deleted(&platform).await;
    assert_eq!(orphan["bindingId"], asked["binding"]["id"]);
    // Not every broker says 410 of what belongs to what is gone.
    let no = Fault::Instead(RawAnswer::error(404, "", "no such instance"));
    platform.broker.fault(CallKind::Unbind, no);
    until_clean(&platform).await;
    assert_eq!(platform.broker.books().count(CallKind::Unbind), 2);
    platform.finish().await;
}

/// The process ends while the first request hangs, and again while the second does, which the broker has carried out.
#[tokio::test]
async fn what_was_sent_twice_without_any_answer_is_removed_once_more_too() {
    let binding = "/v1/servicebinding/db";
    for (call, path) in [(CallKind::Provision, DB), (CallKind::Bind, binding)] {
        let stop_timeout = Duration::from_millis(50);
        let mut platform = TestPlatform::in_world(World { stop_timeout, ..World::new() }).await;
        let world = platform.world.clone();
        platform.broker.fault(call, Fault::HangBefore);
        platform.broker.fault(call, Fault::HangAfter);
        platform.ask("db").await;
        for hanging in 1..=2 {
            platform.broker.until("it hangs", |books| books.hanging == hanging).await;
            if hanging == 2 {
                platform.delete(path).await;
            }
            platform.server.running.stop().await;
            platform.server = TestServer::start_in(world.clone()).await;
        }
        let before = world.clock.now();
        platform.eventually(path, |seen| (seen.status == 404).then_some(())).await;
        assert_eq!(world.clock.now(), before, "at its normal speed");
        let count = || {
            let books = platform.broker.books();
            books.instances.len() + books.bindings.len()
        };
        let left = count();
        platform.broker.release();
        platform.broker.until("its end", |books| books.hanging == 0).await;
        assert_eq!(count(), left + 1, "{call:?}: it is carried out late");
        until_clean(&platform).await;
        assert_eq!(count(), left, "{call:?}");
        platform.server.running.stop().await;
        platform.broker.finish().await;
    }
}

#[tokio::test]
async fn after_a_minute_nothing_can_come_and_nothing_is_removed_twice() {
    let platform = TestPlatform::start().await;
    asked_for_twice(&platform, CallKind::Provision).await;
    platform.world.clock.advance(crate::broker_operation::LATE_WORK);
    platform.delete(DB).await;
    platform.quiet().await;
    assert_eq!((platform.get(DB).await.status, platform.get(ALL).await.body), (404, json!([])));
    platform.finish().await;
}

#[tokio::test]
async fn a_broker_waits_for_it_and_says_so_unless_it_is_purged() {
    for (path, waits) in [(BROKER, true), ("/v1/servicebroker/fake?purge=true", false)] {
        let platform = TestPlatform::start().await;
        asked_for_twice(&platform, CallKind::Provision).await;
        let orphan = deleted(&platform).await;
        assert_eq!(platform.delete(path).await.status, 200);
        platform.quiet().await;
        let seen = platform.get(BROKER).await;
        assert_eq!(seen.status == 200, waits, "{}", seen.text);
        if waits {
            let id = orphan["instanceId"].as_str().unwrap();
            let reason = seen.body["reason"][0].as_str().unwrap();
            let expect = format!("instance {id} is removed once more at 20");
            assert!(reason.starts_with(&expect), "{reason}");
            assert!(reason.ends_with("; purge=true does not wait for that"), "{reason}");
            platform.gone(BROKER).await;
        }
        assert_eq!(platform.get(ALL).await.body, json!([]));
        platform.end().await;
    }
}
