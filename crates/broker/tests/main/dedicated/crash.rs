//! The broker's process dies at every point of making and removing a cluster; one that is started
//! again goes on by itself, without another request.

use std::fs;

use super::place::{Place, begin, bound, delete, made, removed, settled, text, working_in};
use crate::support::{Broker, eventually, new_id};

/// More points than any operation has.
const ENOUGH: u32 = 200;

/// Waits until the broker has died at its point, or the operation has ended.
async fn dies(broker: &mut Broker, instance: &str, last: &str) -> bool {
    let path = format!("{}/last_operation", super::place::path(instance));
    let died = eventually(async || {
        let answer = broker.try_send("GET", &path, None).await;
        match answer {
            _ if broker.has_died() => Ok(true),
            Ok((410, _)) if last == "gone" => Ok(false),
            Ok((_, body)) if text(&body, "/state") == last => Ok(false),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    died || dies_behind_its_end(broker).await
}

/// The end can be seen from the last write on, and the point behind that write comes a moment later.
async fn dies_behind_its_end(broker: &mut Broker) -> bool {
    for _ in 0..200 {
        if broker.has_died() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    false
}

#[tokio::test]
async fn a_creation_that_was_cut_off_anywhere_is_completed_by_the_next_broker() {
    let mut points = 0;
    while points < ENOUGH {
        let place = Place::new();
        let mut broker = Broker::exits_after(&place.data(), points).await;
        let instance = new_id();
        let path = format!("{}?accepts_incomplete=true", super::place::path(&instance));
        let body = super::place::body(serde_json::json!({}));
        let answer = broker.try_send("PUT", &path, Some(body)).await;
        let died = dies(&mut broker, &instance, "succeeded").await;
        broker.kill();
        let broker = place.broker().await;
        if answer.is_err() {
            // Not even an answer came: the platform asks again.
            assert_eq!(begin(&broker, &instance).await.0, 202, "killed after {points}");
        }
        let (state, said) = settled(&broker, &instance).await;
        assert_eq!(state, "succeeded", "killed after {points}: {said:?}");
        let session = bound(&broker, &instance).await.connect().await.expect("connected");
        session.batch_execute("CREATE TABLE t (n int)").await.expect("made");
        drop(session);
        removed(&place, &broker, &instance).await;
        broker.finish().await.expect("ended well");
        if !died {
            break;
        }
        // Two points lie around each step, and what is on the disk is the same at both of the ones
        // between two steps.
        points += 2;
    }
    assert!((22..ENOUGH).contains(&points), "every step has its points: {points}");
}

#[tokio::test]
async fn a_removal_that_was_cut_off_anywhere_is_completed_by_the_next_broker() {
    for points in 0..ENOUGH {
        let place = Place::new();
        let broker = place.broker().await;
        let instance = made(&broker).await;
        drop(bound(&broker, &instance).await.connect().await.expect("connected"));
        broker.finish().await.expect("ended well");
        let mut broker = Broker::exits_after(&place.data(), points).await;
        let path = format!("{}?{}", super::place::path(&instance), super::place::query());
        let path = format!("{path}&accepts_incomplete=true");
        let answer = broker.try_send("DELETE", &path, None).await;
        let died = dies(&mut broker, &instance, "gone").await;
        broker.kill();
        let broker = place.broker().await;
        if answer.is_err() {
            assert!(matches!(delete(&broker, &instance).await.0, 202 | 410), "after {points}");
        }
        assert_eq!(settled(&broker, &instance).await.0, "gone", "killed after {points}");
        place.assert_nothing_is_left_of(&instance).await;
        broker.finish().await.expect("ended well");
        if !died {
            assert!(points >= 6, "every step has its points: {points}");
            return;
        }
    }
}

#[tokio::test]
async fn an_initdb_that_the_broker_was_killed_under_is_ended_and_begun_again() {
    let place = Place::new();
    let broker = Broker::exits_after(&place.data(), u32::MAX / 2).await;
    let instance = new_id();
    assert_eq!(begin(&broker, &instance).await.0, 202);
    let directory = place.cluster(&instance);
    eventually(|| async {
        match directory.join("data.new/base").exists() && !working_in(&directory).is_empty() {
            true => Ok(()),
            false => Err("initdb is not at work".to_owned()),
        }
    })
    .await;
    let orphans = working_in(&directory);
    broker.kill();
    // It does not end with the broker: a mark shows whether its files are used.
    let _ = fs::write(directory.join("mark"), "");
    let broker = place.broker().await;
    let (state, said) = settled(&broker, &instance).await;
    assert_eq!(state, "succeeded", "{said:?}");
    assert!(!directory.join("mark").exists(), "it was begun again");
    assert!(working_in(&directory).is_disjoint(&orphans), "the old one is gone");
    bound(&broker, &instance).await.connect().await.expect("connected");
    removed(&place, &broker, &instance).await;
    broker.finish().await.expect("ended well");
}
