//! What one binding makes, the others can use; and it outlives the binding.

use crate::support::{Broker, Credentials, assert_gone, cluster, code, new_id};

async fn run(credentials: &Credentials, statements: &str) -> String {
    let session = credentials.connect().await.expect("connected");
    code(session.batch_execute(statements).await)
}

#[tokio::test]
async fn tables_of_one_binding_are_the_other_s_too() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let instance = new_id();
    let one = broker.bound(&instance, &new_id()).await;
    let two = broker.credentials(&instance, &new_id()).await;
    for (maker, user, table) in [(&one, &two, "a"), (&two, &one, "b")] {
        let make = format!("CREATE TABLE {table} (n int); INSERT INTO {table} VALUES (1)");
        assert_eq!(run(maker, &make).await, "accepted");
        let change = format!(
            "INSERT INTO {table} VALUES (2); ALTER TABLE {table} ADD m int; \
             CREATE INDEX ON {table} (m); CREATE SCHEMA s_{table}; TRUNCATE {table}"
        );
        assert_eq!(run(user, &change).await, "accepted");
        assert_eq!(
            run(maker, &format!("DROP SCHEMA s_{table}; DROP TABLE {table}")).await,
            "accepted"
        );
    }
    // The twin: without the setting a table belongs to its login, and the other may not drop it.
    assert_eq!(
        run(&one, "RESET ROLE; SET ROLE NONE; CREATE SCHEMA mine; CREATE TABLE mine.c ()").await,
        "accepted"
    );
    assert_eq!(run(&two, "DROP TABLE mine.c").await, "42501");
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    assert_gone(&instance).await;
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn unbinding_keeps_what_was_made_even_under_the_login_s_own_name() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let (instance, first) = (new_id(), new_id());
    let one = broker.bound(&instance, &first).await;
    let statements = "CREATE TABLE shared (n int); INSERT INTO shared VALUES (1); SET ROLE NONE; \
         CREATE SCHEMA own; CREATE TABLE own.t (n int); INSERT INTO own.t VALUES (2); \
         CREATE FUNCTION own.f() RETURNS int LANGUAGE sql AS 'SELECT 3'; \
         GRANT SELECT ON own.t TO PUBLIC; \
         ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC";
    assert_eq!(run(&one, statements).await, "accepted");
    assert_eq!(broker.unbind(&instance, &first).await.0, 200);
    let two = broker.credentials(&instance, &new_id()).await;
    let session = two.connect().await.expect("connected");
    let query = "SELECT (SELECT n FROM shared) + (SELECT n FROM own.t) + own.f()";
    let sum: i32 = session.query_one(query, &[]).await.expect("a row").get(0);
    assert_eq!(sum, 6);
    session
        .batch_execute("DROP SCHEMA own CASCADE; DROP TABLE shared")
        .await
        .expect("it is theirs");
    drop(session);
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    assert_gone(&instance).await;
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn twenty_connections_and_no_more() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let instance = new_id();
    let one = broker.bound(&instance, &new_id()).await;
    let two = broker.credentials(&instance, &new_id()).await;
    let mut sessions = Vec::new();
    for number in 0..20 {
        let credentials = if number % 2 == 0 { &one } else { &two };
        sessions.push(credentials.connect().await.expect("within the limit"));
    }
    assert_eq!(code(one.connect().await), "53300");
    assert_eq!(code(two.connect().await), "53300");
    // None of them can lift the limit.
    for statement in [
        format!("ALTER DATABASE \"{instance}\" CONNECTION LIMIT 100"),
        format!("ALTER DATABASE \"{instance}\" SET work_mem = '1GB'"),
        format!("ALTER ROLE \"{}\" CONNECTION LIMIT 100", one.get("username")),
    ] {
        assert_eq!(code(sessions[0].batch_execute(&statement).await), "42501", "{statement}");
    }
    // The administrator gets in all the same: the instance can be bound, unbound and removed.
    cluster().await.admin(&instance).await.expect("the administrator gets in");
    let late = new_id();
    broker.credentials(&instance, &late).await;
    assert_eq!(broker.unbind(&instance, &late).await.0, 200);
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    assert_gone(&instance).await;
    broker.finish().await.expect("ended well");
}
