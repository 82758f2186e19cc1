//! Every wait has an end, and what ended in the middle can be repeated.

use std::path::Path;
use std::time::Duration;

use dispatch_broker::postgresql::Options;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::{Broker, assert_gone, cluster, eventually, new_id, options};

const SHORT: Duration = Duration::from_millis(300);

/// A broker with its own limits, and a session that keeps an instance's lock from it.
async fn blocked(
    set: impl FnOnce(&mut Options),
) -> (tempfile::TempDir, Broker, String, tokio_postgres::Client) {
    let data = tempfile::tempdir().expect("a directory");
    let instance = new_id();
    let broker = Broker::on(data.path()).await;
    assert_eq!(broker.provision(&instance).await.0, 201);
    broker.finish().await.expect("ended well");
    let mut options = options(cluster().await, data.path());
    set(&mut options);
    let broker = Broker::start(options).await;
    let holder = cluster().await.admin("postgres").await.expect("connected");
    // Whoever changes the database's row waits for this one.
    let hold = format!("BEGIN; ALTER DATABASE \"{instance}\" CONNECTION LIMIT 19");
    holder.batch_execute(&hold).await.expect("held");
    (data, broker, instance, holder)
}

/// What was cut off can be repeated, by a broker with the usual limits.
async fn release(data: &Path, broker: Broker, instance: &str, holder: &tokio_postgres::Client) {
    broker.finish().await.expect("ended well");
    holder.batch_execute("ROLLBACK").await.expect("let go");
    let broker = Broker::on(data).await;
    assert_eq!(broker.deprovision(instance).await.0, 200);
    assert_gone(instance).await;
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn a_lock_is_waited_for_so_long() {
    let (data, broker, instance, holder) = blocked(|options| options.timeouts.lock = SHORT).await;
    let (status, body) = broker.deprovision(&instance).await;
    assert_eq!((status, &body["error"]), (422, &json!("ConcurrencyError")), "{body}");
    release(data.path(), broker, &instance, &holder).await;
}

#[tokio::test]
async fn a_statement_may_take_so_long() {
    let (data, broker, instance, holder) =
        blocked(|options| options.timeouts.statement = SHORT * 10).await;
    // The lock is waited for longer than a statement may take.
    let (status, body) = broker.deprovision(&instance).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(body["description"], "PostgreSQL took longer than 3000 ms to close the database");
    release(data.path(), broker, &instance, &holder).await;
}

#[tokio::test]
async fn an_operation_may_take_so_long_and_is_then_dropped_where_it_is() {
    let (data, broker, instance, holder) =
        blocked(|options| options.timeouts.operation = SHORT * 10).await;
    let (status, body) = broker.deprovision(&instance).await;
    assert_eq!(status, 503, "{body}");
    assert!(body["description"].as_str().expect("words").contains("3000 ms"), "{body}");
    release(data.path(), broker, &instance, &holder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_and_a_connection_are_waited_for_so_long() {
    let (_data, broker, instance, holder) = blocked(|options| {
        options.connections = 1;
        options.timeouts.turn = SHORT;
        options.timeouts.lock = Duration::from_secs(20);
    })
    .await;
    let other = new_id();
    let (first, (same, different)) = tokio::join!(broker.deprovision(&instance), async {
        waits_for_a_lock(&instance).await;
        let refused = tokio::join!(broker.deprovision(&instance), broker.provision(&other));
        holder.batch_execute("ROLLBACK").await.expect("let go");
        refused
    });
    assert_eq!(first.0, 200);
    let (status, body) = same;
    assert_eq!((status, &body["error"]), (422, &json!("ConcurrencyError")), "{body}");
    let (status, body) = different;
    assert_eq!(status, 503, "{body}");
    let words = "all 1 administrative connections were in use for 300 ms";
    assert_eq!(body["description"], words);
    assert_gone(&instance).await;
    broker.finish().await.expect("ended well");
}

/// Until the broker stands before the held row.
async fn waits_for_a_lock(instance: &str) {
    let admin = cluster().await.admin("postgres").await.expect("connected");
    eventually(|| async {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
             AND strpos(query, $1) > 0";
        match admin.query_one(query, &[&instance]).await.expect("a row").get::<_, i64>(0) {
            0 => Err(format!("nobody waits for a lock on {instance}")),
            _ => Ok(()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_that_does_not_end_is_reported_and_the_unbind_can_be_repeated() {
    let data = tempfile::tempdir().expect("a directory");
    let mut options = options(cluster().await, data.path());
    options.timeouts.sessions = SHORT;
    let broker = Broker::start(options).await;
    let (instance, binding) = (new_id(), new_id());
    let credentials = broker.bound(&instance, &binding).await;
    let session = credentials.connect().await.expect("connected");
    let row = session.query_one("SELECT pg_backend_pid()", &[]).await.expect("a row");
    let backend = Pid::from_raw(row.get(0));
    kill(backend, Signal::SIGSTOP).expect("stopped");
    let (status, body) = broker.unbind(&instance, &binding).await;
    kill(backend, Signal::SIGCONT).expect("continued");
    assert_eq!(status, 500, "{body}");
    assert_eq!(body["description"], "sessions did not end within 300 ms; 1 are left");
    // It cannot log in any more, whatever else was done.
    assert_eq!(crate::support::code(credentials.connect().await), "28000");
    eventually(|| async {
        match broker.unbind(&instance, &binding).await {
            (200, _) => Ok(()),
            answer => Err(format!("{answer:?}")),
        }
    })
    .await;
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    broker.finish().await.expect("ended well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_under_way_is_finished_when_the_broker_stops() {
    let (_data, mut broker, instance, holder) =
        blocked(|options| options.timeouts.lock = Duration::from_secs(20)).await;
    let path = format!("{}/v2/service_instances/{instance}", broker.url);
    let request = reqwest::Client::builder()
        .build()
        .expect("a client")
        .delete(format!("{path}?{}", crate::support::query()))
        .header("X-Broker-API-Version", "2.17");
    let request = tokio::spawn(async move { request.send().await.map(|answer| answer.status()) });
    waits_for_a_lock(&instance).await;
    broker.stop();
    holder.batch_execute("ROLLBACK").await.expect("let go");
    assert_eq!(request.await.expect("no panic").expect("an answer"), 200);
    broker.finish().await.expect("ended well");
    assert_gone(&instance).await;
}
