//! A machine that cannot have such servers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::place::Place;
use crate::support::Broker;

#[tokio::test]
async fn where_there_can_be_no_servers_the_plan_is_not_offered_or_the_broker_does_not_start() {
    let place = Place::new();
    let mut options = place.options().await;
    if let Some(dedicated) = &mut options.dedicated {
        dedicated.programs = Some(place.data().join("none"));
    }
    let error = Broker::start(options.clone()).await.finish().await.expect_err("refused");
    assert!(error.to_string().starts_with("dedicated servers need PostgreSQL"), "{error}");
    if let Some(dedicated) = &mut options.dedicated {
        dedicated.required = false;
    }
    let broker = Broker::start(options).await;
    let (_, catalog) = broker.get("/v2/catalog").await;
    let plans = catalog["services"][0]["plans"].as_array().expect("plans");
    assert!(plans.iter().all(|plan| plan["name"] != "dedicated"), "{plans:?}");
    let (status, body) = super::place::begin(&broker, "i").await;
    assert_eq!((status, body["error"].is_null()), (400, true), "{body}");
    broker.finish().await.expect("ended well");
    let mut options = place.options().await;
    if let Some(dedicated) = &mut options.dedicated {
        dedicated.address = "0.0.0.0".parse().expect("an address");
    }
    let error = Broker::start(options).await.finish().await.expect_err("refused");
    assert!(error.to_string().contains("one address"), "{error}");
}

#[tokio::test]
async fn a_directory_that_postgresql_s_user_may_not_enter_is_named() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root runs PostgreSQL as somebody else");
        return;
    }
    let place = Place::new();
    let parent = place.data().parent().expect("a parent").to_owned();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o700)).expect("chmod");
    let error = Broker::start(place.options().await).await.finish().await.expect_err("refused");
    let words = format!("who may not enter {}: chmod o+x it", parent.display());
    assert!(error.to_string().contains(&words), "{error}");
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o755)).expect("chmod");
    let broker = place.broker().await;
    let (_, catalog) = broker.get("/v2/catalog").await;
    let plan = &catalog["services"][0]["plans"][2];
    assert_eq!(plan["name"], json!("dedicated"));
    let schema = &plan["schemas"]["service_instance"]["create"]["parameters"]["properties"];
    let offered = schema["extensions"]["items"]["enum"].as_array().expect("names");
    for name in ["citext", "hstore", "pgcrypto", "uuid-ossp"] {
        assert!(offered.contains(&json!(name)), "{offered:?}");
    }
    broker.finish().await.expect("ended well");
}
