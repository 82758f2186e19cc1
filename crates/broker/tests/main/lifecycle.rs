//! From nothing to a database in use, and back.

use serde_json::json;

use crate::support::{Broker, Credentials, assert_gone, cluster, code, names_with, new_id, query};

#[tokio::test]
async fn an_instance_and_a_binding_come_and_go() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let (instance, binding) = (new_id(), new_id());
    let path = format!("/v2/service_instances/{instance}");
    let binding_path = format!("{path}/service_bindings/{binding}");

    assert_eq!(broker.get(&path).await.0, 404);
    assert_eq!(broker.provision(&instance).await, (201, json!({})));
    assert_eq!(broker.provision(&instance).await, (200, json!({})));
    let (status, document) = broker.get(&path).await;
    assert_eq!(
        (status, &document["plan_id"]),
        (200, &json!("0936e800-32ac-48af-aa58-b88495df3999"))
    );

    assert_eq!(broker.get(&binding_path).await.0, 404);
    let (status, first) = broker.bind(&instance, &binding).await;
    assert_eq!(status, 201);
    assert_eq!(broker.bind(&instance, &binding).await, (200, first.clone()));
    assert_eq!(broker.get(&binding_path).await, (200, first.clone()));

    let credentials = Credentials::of(&first);
    assert_eq!(credentials.get("database"), instance);
    assert_eq!(credentials.get("host"), "127.0.0.1");
    assert_eq!(credentials.get("port"), cluster().await.port().to_string());
    assert_eq!(credentials.get("sslRequired"), "true");
    assert_eq!(credentials.get("caCertificate"), cluster().await.ca_pem());
    let port = [credentials.get("port")];
    let endpoint = json!({"host": "127.0.0.1", "ports": port, "protocol": "tcp"});
    assert_eq!(first["endpoints"], json!([endpoint]));
    let session = credentials.connect().await.expect("connected");
    session
        .batch_execute("CREATE TABLE t (num int); INSERT INTO t VALUES (1)")
        .await
        .expect("made");

    let uri: tokio_postgres::Config = credentials.get("uri").parse().expect("a URI");
    assert_eq!(uri.get_user(), Some(credentials.get("username")));
    assert_eq!(uri.get_password(), Some(credentials.get("password").as_bytes()));
    assert_eq!(uri.get_dbname(), Some(&*instance));

    assert_eq!(broker.unbind(&instance, &binding).await, (200, json!({})));
    assert_eq!(broker.unbind(&instance, &binding).await.0, 410);
    assert_eq!(code(credentials.connect().await), "28P01");
    assert_eq!(broker.deprovision(&instance).await, (200, json!({})));
    assert_eq!(broker.deprovision(&instance).await.0, 410);
    assert_eq!(broker.unbind(&instance, &binding).await.0, 410);
    assert_gone(&instance).await;
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn deprovisioning_takes_bindings_sessions_and_prepared_transactions_with_it() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let (instance, one, two) = (new_id(), new_id(), new_id());
    let session = broker.bound(&instance, &one).await.connect().await.expect("connected");
    let other = broker.credentials(&instance, &two).await.connect().await.expect("connected");
    session
        .batch_execute("CREATE TABLE t (n int); BEGIN; INSERT INTO t VALUES (1)")
        .await
        .expect("open");
    let prepare = "BEGIN; CREATE TABLE p (n int); PREPARE TRANSACTION 'it''s'";
    other.batch_execute(prepare).await.expect("prepared");
    assert_eq!(broker.deprovision(&instance).await, (200, json!({})));
    assert_gone(&instance).await;
    assert!(session.batch_execute("SELECT 1").await.is_err(), "the session has ended");
    let bindings = format!("/v2/service_instances/{instance}/service_bindings/{one}");
    assert_eq!(broker.get(&bindings).await.0, 404);
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn an_instance_survives_a_restart_of_the_broker_and_its_passwords_stay() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let (instance, binding) = (new_id(), new_id());
    let before = broker.bound(&instance, &binding).await;
    broker.finish().await.expect("ended well");
    let broker = Broker::on(data.path()).await;
    assert_eq!(broker.credentials(&instance, &binding).await, before);
    before.connect().await.expect("connected");
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn an_id_that_is_no_uuid_gets_a_name_of_its_own_and_touches_nothing() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    for (path, id) in
        [("postgres", "postgres"), ("template1", "template1"), ("a%22%27b%20%C3%A9", "")]
    {
        assert_eq!(broker.provision(path).await.0, 201, "{id}");
        let credentials = broker.credentials(path, "b%2F1").await;
        assert!(credentials.get("database").starts_with("db_"), "{path}");
        credentials.connect().await.expect("connected");
        assert_eq!(broker.unbind(path, "b%2F1").await.0, 200);
        assert_eq!(broker.deprovision(path).await.0, 200);
        assert!(names_with(credentials.get("database")).await.is_empty());
    }
    cluster().await.admin("postgres").await.expect("it is still there");
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn the_catalogue_is_served_and_delete_wants_its_ids() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let (status, catalog) = broker.get("/v2/catalog").await;
    assert_eq!((status, &catalog["services"][0]["name"]), (200, &json!("postgresql")));
    let plan = &catalog["services"][0]["plans"][0];
    assert_eq!(plan["description"], "a database on a shared server, 20 connections");
    assert_eq!(
        plan["schemas"]["service_instance"]["create"]["parameters"]["additionalProperties"],
        false
    );
    let instance = new_id();
    assert_eq!(broker.provision(&instance).await.0, 201);
    let path = format!("/v2/service_instances/{instance}");
    assert_eq!(broker.send("DELETE", &path, None).await.0, 400);
    let other = query().replace("0936e800", "0936e801");
    assert_eq!(broker.send("DELETE", &format!("{path}?{other}"), None).await.0, 400);
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    broker.finish().await.expect("ended well");
}
