//! Removal while it is being made, and what is left of a creation that fails: nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::place::{Place, begin, bound, delete, made, path, removed, settled, working_in};
use crate::support::{Broker, eventually, new_id};

#[tokio::test]
async fn an_instance_is_removed_while_it_is_being_made() {
    let place = Place::new();
    let broker = place.broker().await;
    for words in ["initialising", "starting on port"] {
        let instance = new_id();
        assert_eq!(begin(&broker, &instance).await.0, 202);
        let operation = format!("{}/last_operation", path(&instance));
        eventually(|| async {
            let (_, body) = broker.get(&operation).await;
            let text = body["description"].as_str().unwrap_or_default();
            match text.contains(words) || body["state"] == "succeeded" {
                true => Ok(()),
                false => Err(format!("{body}")),
            }
        })
        .await;
        assert_eq!(delete(&broker, &instance).await.0, 202);
        assert!(matches!(delete(&broker, &instance).await.0, 202 | 410), "again");
        assert_eq!(settled(&broker, &instance).await.0, "gone");
        place.assert_nothing_is_left_of(&instance).await;
    }
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn a_removal_does_not_wait_for_an_initdb_that_has_no_end() {
    let place = Place::new();
    let broker = broker_with_initdb(&place, "exec sleep 3600").await;
    let instance = new_id();
    assert_eq!(begin(&broker, &instance).await.0, 202);
    eventually(async || match working_in(&place.cluster(&instance)).is_empty() {
        true => Err("initdb is not at work".to_owned()),
        false => Ok(()),
    })
    .await;
    removed(&place, &broker, &instance).await;
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn a_removal_ends_sessions_and_open_transactions() {
    let place = Place::new();
    let broker = place.broker().await;
    let instance = made(&broker).await;
    let session = bound(&broker, &instance).await.connect().await.expect("connected");
    session.batch_execute("BEGIN; CREATE TABLE t (n int)").await.expect("open");
    removed(&place, &broker, &instance).await;
    assert!(session.batch_execute("SELECT 1").await.is_err(), "the session has ended");
    broker.finish().await.expect("ended well");
}

/// A broker whose initdb does something else than its work.
async fn broker_with_initdb(place: &Place, does: &str) -> Broker {
    let programs = place.data().with_file_name("programs");
    fs::create_dir(&programs).expect("made");
    let script = format!(
        "#!/bin/sh\nreal=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)\n\
         case \"$*\" in *--show*) exec \"$real/initdb\" \"$@\" ;; esac\n{does}\n"
    );
    let path = programs.join("initdb");
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    let mut options = place.options().await;
    if let Some(dedicated) = &mut options.dedicated {
        dedicated.programs = Some(programs);
    }
    Broker::start(options).await
}

const FAILS: &str = "touch data.new/half; echo 'no space for a cluster' >&2; exit 1";

#[tokio::test]
async fn nothing_is_left_of_a_creation_that_fails_and_its_reason_is_told() {
    let place = Place::new();
    let broker = broker_with_initdb(&place, FAILS).await;
    let instance = new_id();
    assert_eq!(begin(&broker, &instance).await.0, 202);
    let (state, said) = settled(&broker, &instance).await;
    assert_eq!(state, "failed");
    let words = "initdb failed: no space for a cluster";
    assert_eq!(said.last().map(String::as_str), Some(words));
    place.assert_nothing_is_left_of(&instance).await;
    assert_eq!(broker.get(&path(&instance)).await.0, 404);
    // The platform clears it away, or asks once more: on a machine where it works by now.
    broker.finish().await.expect("ended well");
    let broker = place.broker().await;
    assert_eq!(settled(&broker, &instance).await.0, "failed", "it is not tried again unasked");
    assert_eq!(begin(&broker, &instance).await.0, 202);
    assert_eq!(settled(&broker, &instance).await.0, "succeeded");
    removed(&place, &broker, &instance).await;
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn a_failed_creation_is_cleared_away_by_a_delete() {
    let place = Place::new();
    let broker = broker_with_initdb(&place, FAILS).await;
    let instance = new_id();
    assert_eq!(begin(&broker, &instance).await.0, 202);
    assert_eq!(settled(&broker, &instance).await.0, "failed");
    assert_eq!(delete(&broker, &instance).await, (200, json!({})));
    assert_eq!(delete(&broker, &instance).await.0, 410);
    broker.finish().await.expect("ended well");
}
