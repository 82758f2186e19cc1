//! Unbinding ends what the binding's login has open.

use serde_json::json;

use crate::support::{Broker, cluster, code, new_id};

#[tokio::test]
async fn sessions_end_with_their_binding_open_transactions_or_not() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let (instance, first, second) = (new_id(), new_id(), new_id());
    let one = broker.bound(&instance, &first).await;
    let two = broker.credentials(&instance, &second).await;
    let setup = one.connect().await.expect("connected");
    setup.batch_execute("CREATE TABLE t (n int)").await.expect("made");
    let open = one.connect().await.expect("connected");
    open.batch_execute("BEGIN; LOCK TABLE t; INSERT INTO t VALUES (1)").await.expect("open");
    let own = one.connect().await.expect("connected");
    own.batch_execute("SET ROLE NONE; CREATE SCHEMA own; CREATE TABLE own.t ()")
        .await
        .expect("made");
    own.batch_execute("BEGIN; LOCK TABLE own.t").await.expect("open");
    let busy = one.connect().await.expect("connected");
    let sleeping =
        tokio::spawn(async move { code(busy.batch_execute("SELECT pg_sleep(600)").await) });
    let other = two.connect().await.expect("connected");
    other.batch_execute("BEGIN; SELECT 1").await.expect("open");

    assert_eq!(broker.unbind(&instance, &first).await, (200, json!({})));

    for session in [setup, open, own] {
        assert!(session.batch_execute("SELECT 1").await.is_err(), "it has ended");
    }
    assert_ne!(sleeping.await.expect("no panic"), "accepted");
    let admin = cluster().await.admin("postgres").await.expect("connected");
    let query = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 OR (datname = $2 \
         AND usename IS NULL)";
    let login = one.get("username");
    let left: i64 = admin.query_one(query, &[&login, &instance]).await.expect("a row").get(0);
    assert_eq!(left, 0);
    assert_eq!(code(one.connect().await), "28P01");
    // The other binding's session, transaction and all, has seen nothing of it.
    other.batch_execute("SELECT * FROM t; COMMIT").await.expect("still open");
    drop(other);
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    broker.finish().await.expect("ended well");
}

/// The twin of the test above: it is not DROP ROLE that ends a session.
#[tokio::test]
async fn a_session_survives_its_role_where_nobody_ends_it() {
    let admin = cluster().await.admin("postgres").await.expect("connected");
    admin
        .batch_execute("CREATE ROLE survivor LOGIN PASSWORD 'x'; GRANT CONNECT ON DATABASE postgres TO survivor")
        .await
        .expect("made");
    let session = cluster().await.connect("survivor", "x", "postgres").await.expect("connected");
    admin
        .batch_execute("REVOKE CONNECT ON DATABASE postgres FROM survivor; DROP ROLE survivor")
        .await
        .expect("dropped");
    session.batch_execute("SELECT 1").await.expect("it goes on");
}

#[tokio::test]
async fn a_session_whose_role_was_dropped_by_a_half_done_unbind_is_ended_too() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let (instance, binding) = (new_id(), new_id());
    let credentials = broker.bound(&instance, &binding).await;
    let session = credentials.connect().await.expect("connected");
    let admin = cluster().await.admin(&instance).await.expect("connected");
    let login = credentials.get("username");
    let statements = format!("DROP OWNED BY \"{login}\"; DROP ROLE \"{login}\"");
    admin.batch_execute(&statements).await.expect("dropped");
    session.batch_execute("SELECT 1").await.expect("it has survived");
    drop(admin);
    assert_eq!(broker.unbind(&instance, &binding).await.0, 200);
    assert!(session.batch_execute("SELECT 1").await.is_err(), "it has ended");
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn a_lock_of_another_binding_makes_the_unbind_come_back_later() {
    let data = tempfile::tempdir().expect("a directory");
    let mut options = crate::support::options(cluster().await, data.path());
    options.timeouts.lock = std::time::Duration::from_millis(200);
    let broker = Broker::start(options).await;
    let (instance, first) = (new_id(), new_id());
    let one = broker.bound(&instance, &first).await;
    let two = broker.credentials(&instance, &new_id()).await;
    let session = one.connect().await.expect("connected");
    let statements = "SET ROLE NONE; CREATE TABLE t (n int); GRANT SELECT ON t TO PUBLIC";
    // PUBLIC may not create in the schema; the login gets there by its membership.
    session.batch_execute(statements).await.expect("made");
    let holder = two.connect().await.expect("connected");
    holder.batch_execute("BEGIN; SELECT * FROM t").await.expect("held");
    let (status, body) = broker.unbind(&instance, &first).await;
    assert_eq!((status, &body["error"]), (422, &json!("ConcurrencyError")), "{body}");
    holder.batch_execute("COMMIT").await.expect("let go");
    assert_eq!(broker.unbind(&instance, &first).await.0, 200);
    drop(holder);
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    broker.finish().await.expect("ended well");
}
