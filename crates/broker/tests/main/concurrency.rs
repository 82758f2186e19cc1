//! Many requests at once.

use std::cell::Cell;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::support::{Broker, assert_gone, cluster, eventually, new_id, options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_requests_at_once_are_carried_out_once() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let (instance, binding) = (new_id(), new_id());
    let (one, two) = tokio::join!(broker.provision(&instance), broker.provision(&instance));
    let mut statuses = [one.0, two.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    let (one, two) =
        tokio::join!(broker.bind(&instance, &binding), broker.bind(&instance, &binding));
    let mut statuses = [one.0, two.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    assert_eq!(one.1, two.1);
    let (one, two) =
        tokio::join!(broker.unbind(&instance, &binding), broker.unbind(&instance, &binding));
    let mut statuses = [one.0, two.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    assert_gone(&instance).await;
    broker.finish().await.expect("ended well");
}

/// OSB-192
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_binds_and_five_instances_at_once_all_succeed() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = std::sync::Arc::new(Broker::on(data.path()).await);
    let instances: Vec<_> = (0..5).map(|_| new_id()).collect();
    let mut tasks = JoinSet::new();
    for instance in &instances {
        let (broker, instance) = (std::sync::Arc::clone(&broker), instance.clone());
        tasks.spawn(async move { broker.provision(&instance).await.0 });
    }
    assert_eq!(tasks.join_all().await, [201; 5]);
    let mut tasks = JoinSet::new();
    for number in 0..10 {
        let broker = std::sync::Arc::clone(&broker);
        let instance = instances[number % 2].clone();
        tasks.spawn(async move { broker.bind(&instance, &new_id()).await.0 });
    }
    assert_eq!(tasks.join_all().await, [201; 10]);
    let mut tasks = JoinSet::new();
    for instance in &instances {
        let (broker, instance) = (std::sync::Arc::clone(&broker), instance.clone());
        tasks.spawn(async move { broker.deprovision(&instance).await.0 });
    }
    assert_eq!(tasks.join_all().await, [200; 5]);
    for instance in &instances {
        assert_gone(instance).await;
    }
    let broker = std::sync::Arc::into_inner(broker).expect("the last one");
    broker.finish().await.expect("ended well");
}

/// An earlier process of the broker was killed, and PostgreSQL is still at its last statement: it
/// holds the instance's advisory lock, by which it is told here from any other.
#[tokio::test]
async fn a_statement_of_a_killed_predecessor_is_waited_for() {
    let data = tempfile::tempdir().expect("a directory");
    let mut options = options(cluster().await, data.path());
    options.timeouts.lock = Duration::from_millis(200);
    let broker = Broker::start(options).await;
    let instance = new_id();
    let admin = cluster().await.admin("postgres").await.expect("connected");
    assert_eq!(broker.provision(&instance).await.0, 201);
    // The lock that the broker has just used and given back.
    let log = cluster().await.log();
    let key = lock_key(&log, &instance);
    admin.execute("SELECT pg_advisory_lock($1)", &[&key]).await.expect("locked");
    let (status, body) = broker.deprovision(&instance).await;
    assert_eq!((status, &body["error"]), (422, &json!("ConcurrencyError")), "{body}");
    admin.execute("SELECT pg_advisory_unlock($1)", &[&key]).await.expect("unlocked");
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    assert_gone(&instance).await;
    broker.finish().await.expect("ended well");
}

/// A connection that broke while it lay idle shows it at the first statement, which is the lock.
#[tokio::test]
async fn a_connection_that_breaks_before_anything_was_done_is_replaced() {
    let data = tempfile::tempdir().expect("a directory");
    let mut options = options(cluster().await, data.path());
    options.timeouts.lock = Duration::from_secs(20);
    let broker = Broker::start(options).await;
    let instance = new_id();
    assert_eq!(broker.provision(&instance).await.0, 201);
    let key = lock_key(&cluster().await.log(), &instance);
    let admin = cluster().await.admin("postgres").await.expect("connected");
    admin.execute("SELECT pg_advisory_lock($1)", &[&key]).await.expect("locked");
    let (answer, ()) = tokio::join!(broker.deprovision(&instance), async {
        let first = waits_for(&admin, key, 0).await;
        admin.execute("SELECT pg_terminate_backend($1)", &[&first]).await.expect("ended");
        waits_for(&admin, key, first).await;
        admin.execute("SELECT pg_advisory_unlock($1)", &[&key]).await.expect("unlocked");
    });
    assert_eq!(answer, (200, json!({})));
    assert_gone(&instance).await;
    broker.finish().await.expect("ended well");
}

/// The process that waits for the advisory lock, other than `not`.
async fn waits_for(admin: &Client, key: i64, not: i32) -> i32 {
    let query = "SELECT max(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
         AND (classid::int8 << 32) | objid::int8 = $1 AND pid <> $2";
    let found = Cell::new(None);
    eventually(|| async {
        found.set(admin.query_one(query, &[&key, &not]).await.expect("a row").get(0));
        found.get().map(|_: i32| ()).ok_or_else(|| "nobody waits".to_owned())
    })
    .await;
    found.get().expect("found")
}

/// The parameter of the last lock before the instance's database was made, by the same process.
fn lock_key(log: &str, instance: &str) -> i64 {
    let process = |line: &str| line.split(['[', ']']).nth(1).map(str::to_owned);
    let made = format!("CREATE DATABASE \"{instance}\"");
    let before = log.split_once(&made).expect("logged").0;
    let backend = process(before.lines().last().expect("the line's beginning"));
    let mut lines = before.lines().filter(|line| process(line) == backend);
    let mut key = None;
    while let Some(line) = lines.next() {
        if line.contains("pg_advisory_lock") {
            key = lines.next().and_then(|detail| detail.split('\'').nth(1)?.parse().ok());
        }
    }
    key.expect("locked before")
}
