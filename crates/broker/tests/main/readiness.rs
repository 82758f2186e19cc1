//! A PostgreSQL that is away, comes back, or is not fit; and an administrator who is no superuser.

use std::time::Duration;

use dispatch_broker::postgresql::{
    AdminUrlSource, CheckError, Fault, Options, PgError, ServeError, check,
};
use dispatch_broker::testing::PostgresCluster;
use serde_json::json;

use crate::support::{Broker, be_patient, cluster, eventually, new_id, options};

#[tokio::test]
async fn a_restart_of_postgresql_is_survived() {
    let data = tempfile::tempdir().expect("a directory");
    let mut own = PostgresCluster::start().await.expect("a cluster");
    let broker = Broker::start(options(&own, data.path())).await;
    let (instance, binding) = (new_id(), new_id());
    assert_eq!(broker.provision(&instance).await.0, 201);
    own.pause().expect("stopped");
    let (status, body) = broker.bind(&instance, &binding).await;
    assert_eq!(status, 503, "{body}");
    assert!(body["description"].as_str().expect("words").contains("cannot be reached"), "{body}");
    let (status, body) = broker.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(body.as_str().expect("text").contains("cannot be reached"), "{body}");
    assert_eq!(broker.get(&format!("/v2/service_instances/{instance}")).await.0, 200);
    own.resume().await.expect("started");
    assert_eq!(broker.get("/readyz").await.0, 200);
    assert_eq!(broker.bind(&instance, &binding).await.0, 201);
    // And once more without a request in between, so that the pool holds a dead connection.
    own.pause().expect("stopped");
    own.resume().await.expect("started");
    assert_eq!(broker.unbind(&instance, &binding).await, (200, json!({})));
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    broker.finish().await.expect("ended well");
    own.stop();
}

#[tokio::test]
async fn an_administrator_with_createrole_and_createdb_is_enough() {
    let data = tempfile::tempdir().expect("a directory");
    let own = PostgresCluster::start().await.expect("a cluster");
    let admin = own.admin("postgres").await.expect("connected");
    admin
        .batch_execute("CREATE ROLE lesser LOGIN CREATEROLE CREATEDB PASSWORD 'pw'")
        .await
        .expect("made");
    let url = own.url("lesser", "pw", "postgres");
    let mut options = Options::new(data.path(), AdminUrlSource::Value(url.into()));
    options.ca_file = Some(own.ca_file());
    be_patient(&mut options);
    // What it may not put right is said.
    let faults = faults(&options).await;
    let database = |name: &str| Fault::PublicConnect { database: name.to_owned() };
    assert_eq!(faults, [database("postgres"), database("template1")]);
    admin
        .batch_execute(
            "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; \
             REVOKE CONNECT ON DATABASE template1 FROM PUBLIC; \
             GRANT CONNECT ON DATABASE postgres TO lesser",
        )
        .await
        .expect("closed");
    let report = check(&options).await.expect("fit");
    assert!(!report.superuser);
    let broker = Broker::start(options).await;
    let (instance, first) = (new_id(), new_id());
    assert_eq!(broker.provision(&instance).await.0, 201);
    let one = broker.credentials(&instance, &first).await;
    let connect = || own.connect(one.get("username"), one.get("password"), &instance);
    let session = connect().await.expect("connected");
    session
        .batch_execute("CREATE TABLE t (n int); SET ROLE NONE; CREATE TABLE u (n int)")
        .await
        .expect("made");
    session.batch_execute("BEGIN; LOCK u").await.expect("open");
    assert_eq!(broker.unbind(&instance, &first).await, (200, json!({})));
    assert!(session.batch_execute("SELECT 1").await.is_err(), "it has ended");
    let two = broker.credentials(&instance, &new_id()).await;
    let session = own.connect(two.get("username"), two.get("password"), &instance).await;
    let session = session.expect("connected");
    session.batch_execute("DROP TABLE t; DROP TABLE u").await.expect("kept");
    assert_eq!(broker.deprovision(&instance).await, (200, json!({})));
    let query = "SELECT count(*) FROM pg_roles WHERE rolname <> 'lesser' AND NOT rolsuper \
         AND rolname NOT LIKE 'pg\\_%'";
    let left: i64 = admin.query_one(query, &[]).await.expect("a row").get(0);
    assert_eq!(left, 0);
    broker.finish().await.expect("ended well");
}

async fn faults(options: &Options) -> Vec<Fault> {
    match check(options).await {
        Err(ServeError::NotReady(CheckError::Unfit { faults, .. })) => faults,
        other => panic!("expected faults, got {other:?}"),
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_said() {
    let data = tempfile::tempdir().expect("a directory");
    let own = PostgresCluster::builder()
        .setting("password_encryption", "md5")
        .rule("host all all 127.0.0.2/32 trust")
        .rule("host all dispatch_admin 127.0.0.3/32 trust")
        .rule("host replication all 127.0.0.4/32 trust")
        .start()
        .await
        .expect("a cluster");
    let admin = own.admin("postgres").await.expect("connected");
    admin
        .batch_execute(
            "SET password_encryption = 'scram-sha-256'; CREATE ROLE nobody LOGIN PASSWORD 'pw'",
        )
        .await
        .expect("made");
    let url = own.url("nobody", "pw", "postgres");
    let mut unprivileged = Options::new(data.path(), AdminUrlSource::Value(url.into()));
    unprivileged.ca_file = Some(own.ca_file());
    let md5 = Fault::PasswordEncryption { found: "md5".to_owned() };
    let role = Fault::Administrator { role: "nobody".to_owned() };
    assert_eq!(faults(&unprivileged).await, [role, md5.clone()]);
    let superuser = options(&own, data.path());
    assert_eq!(faults(&superuser).await, [md5]);
    admin
        .batch_execute("ALTER ROLE dispatch_admin SET password_encryption = 'scram-sha-256'")
        .await
        .expect("set");
    assert_eq!(faults(&superuser).await, [Fault::Trust { line: 1 }, Fault::Trust { line: 2 }]);
    // A broker does not start with such a server, and says why.
    let error = Broker::start(superuser).await.finish().await.expect_err("refused").to_string();
    assert!(error.contains("line 1 of its pg_hba.conf lets in without a password"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_refuses_is_said() {
    let data = tempfile::tempdir().expect("a directory");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let url = format!("postgresql://a:s3cret@127.0.0.1:{port}/x?sslmode=disable");
    let mut nowhere = Options::new(data.path(), AdminUrlSource::Value(url.into()));
    nowhere.start = Duration::from_millis(300);
    let error = Broker::start(nowhere).await.finish().await.expect_err("refused");
    assert!(
        matches!(&error, ServeError::NotReady(CheckError::Asking(PgError::Unreachable { .. }))),
        "{error:?}"
    );
    assert!(error.to_string().contains(&format!("127.0.0.1:{port} cannot be reached")), "{error}");

    let url = cluster().await.url("dispatch_admin", "s3cret", "postgres");
    let mut wrong = options(cluster().await, data.path());
    wrong.admin_url = AdminUrlSource::Value(url.into());
    let error = check(&wrong).await.expect_err("refused").to_string();
    assert!(
        error.contains("password authentication failed") && !error.contains("s3cret"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_starts_late_is_waited_for() {
    let data = tempfile::tempdir().expect("a directory");
    let mut own = PostgresCluster::start().await.expect("a cluster");
    own.pause().expect("stopped");
    let mut options = options(&own, data.path());
    options.start = Duration::from_secs(120);
    let broker = Broker::start(options).await;
    own.resume().await.expect("started");
    assert_eq!(broker.get("/readyz").await.0, 200);
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn each_sslmode_verifies_what_it_says() {
    let data = tempfile::tempdir().expect("a directory");
    // 127.0.0.2 is not a name in the certificate.
    let own = PostgresCluster::builder()
        .setting("listen_addresses", "127.0.0.1,127.0.0.2")
        .start()
        .await
        .expect("a cluster");
    let own_ca = own.ca_file();
    let other_ca = cluster().await.ca_file();
    for (host, mode, ca, expect) in [
        ("127.0.0.1", "verify-full", Some(&own_ca), "ready"),
        ("127.0.0.2", "verify-full", Some(&own_ca), "not valid for name"),
        ("127.0.0.2", "verify-ca", Some(&own_ca), "ready"),
        ("127.0.0.2", "require", Some(&own_ca), "ready"),
        ("127.0.0.1", "verify-full", Some(&other_ca), "invalid peer certificate"),
        ("127.0.0.1", "verify-ca", Some(&other_ca), "invalid peer certificate"),
        ("127.0.0.1", "require", Some(&other_ca), "invalid peer certificate"),
        ("127.0.0.2", "require", None, "ready"),
        ("127.0.0.2", "prefer", None, "ready"),
        ("127.0.0.1", "disable", None, "no encryption"),
        ("127.0.0.1", "verify-full", None, "needs a CA certificate"),
    ] {
        let url = own.admin_url().replace("127.0.0.1", host).replace("verify-full", mode);
        let mut options = Options::new(data.path(), AdminUrlSource::Value(url.into()));
        options.ca_file = ca.cloned();
        let result = match check(&options).await {
            Ok(_) => "ready".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(result.contains(expect), "{host} {mode} {ca:?}: {result}");
    }
}

#[tokio::test]
async fn a_cluster_ends_with_its_handle_and_leaves_nothing() {
    let own = PostgresCluster::start().await.expect("a cluster");
    let (pid, ca_file) = (own.pid(), own.ca_file());
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    own.stop();
    eventually(|| async {
        match std::path::Path::new(&format!("/proc/{pid}")).exists() || ca_file.exists() {
            true => Err(format!("process {pid} or {} is still there", ca_file.display())),
            false => Ok(()),
        }
    })
    .await;
}
