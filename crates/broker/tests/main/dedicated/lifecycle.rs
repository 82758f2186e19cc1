//! From nothing to a server of one's own in use, and back.

use serde_json::json;
use tokio_postgres::NoTls;

use super::place::{
    Place, begin, bind, body, bound, delete, made, path, query, removed, settled, unbind,
};
use crate::support::{Credentials, code, new_id};

#[tokio::test]
async fn a_server_of_ones_own_comes_and_goes() {
    let place = Place::new();
    let broker = place.broker().await;
    let (instance, binding) = (new_id(), new_id());

    let operation = json!({"operation": "provision"});
    assert_eq!(begin(&broker, &instance).await, (202, operation.clone()));
    assert_eq!(begin(&broker, &instance).await, (202, operation), "again, while it is made");
    assert_eq!(bind(&broker, &instance, &binding).await.0, 422);
    assert_eq!(broker.get(&path(&instance)).await.0, 404);
    let (state, said) = settled(&broker, &instance).await;
    assert_eq!(state, "succeeded");
    for words in
        ["initialising", &format!("starting on port {}", place.ports.0), "creating the database"]
    {
        assert!(said.iter().any(|text| text.contains(words)), "{words} in {said:?}");
    }
    assert_eq!(begin(&broker, &instance).await, (200, json!({})));

    let (status, answer) = bind(&broker, &instance, &binding).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(bind(&broker, &instance, &binding).await, (200, answer.clone()));
    let credentials = Credentials::of(&answer);
    assert_eq!(credentials.get("database"), instance);
    assert_eq!(credentials.get("port"), place.ports.0.to_string());
    assert_eq!(credentials.get("sslRequired"), "true");
    let ports = [credentials.get("port")];
    let endpoint = json!({"host": "127.0.0.1", "ports": ports, "protocol": "tcp"});
    assert_eq!(answer["endpoints"], json!([endpoint]));
    // Chain and name are verified against the authority that travels with the credentials.
    let one = credentials.connect().await.expect("connected");
    one.batch_execute("CREATE TABLE t (n int)").await.expect("made");
    let two = bound(&broker, &instance).await.connect().await.expect("connected");
    two.batch_execute("DROP TABLE t; CREATE TABLE kept (n int)").await.expect("shared");

    assert_eq!(unbind(&broker, &instance, &binding).await, (200, json!({})));
    assert!(one.batch_execute("SELECT 1").await.is_err(), "the session has ended");
    assert_eq!(code(credentials.connect().await), "28P01");
    two.batch_execute("SELECT * FROM kept").await.expect("what was made is kept");
    drop(two);
    assert_eq!(delete(&broker, &instance).await, (202, json!({"operation": "deprovision"})));
    assert_eq!(settled(&broker, &instance).await.0, "gone");
    place.assert_nothing_is_left_of(&instance).await;
    assert_eq!(delete(&broker, &instance).await.0, 410);
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn a_login_gets_nowhere_but_into_its_database_and_only_over_tls() {
    let place = Place::new();
    let broker = place.broker().await;
    let instance = made(&broker).await;
    let credentials = bound(&broker, &instance).await;
    for database in ["postgres", "template1"] {
        assert_eq!(code(credentials.connect_to(database).await), "42501", "{database}");
    }
    let session = credentials.connect().await.expect("connected");
    for (statement, refused) in [
        ("COPY (SELECT 1) TO PROGRAM 'true'", "42501"),
        ("SELECT pg_read_file('/etc/passwd')", "42501"),
        ("CREATE ROLE other", "42501"),
        ("CREATE DATABASE other", "42501"),
        ("ALTER SYSTEM SET fsync = off", "42501"),
        ("SET temp_file_limit = -1", "42501"),
    ] {
        assert_eq!(code(session.batch_execute(statement).await), refused, "{statement}");
    }
    let plain: tokio_postgres::Config =
        credentials.get("uri").replace("require", "disable").parse().expect("a URI");
    assert_eq!(code(plain.connect(NoTls).await.map(drop)), "28000");
    removed(&place, &broker, &instance).await;
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_and_makes_nothing() {
    let place = Place::new();
    let broker = place.broker().await;
    let instance = new_id();
    let path = path(&instance);
    let (status, answer) = broker.send("PUT", &path, Some(body(json!({})))).await;
    assert_eq!((status, &answer["error"]), (422, &json!("AsyncRequired")));
    let asynchronous = format!("{path}?accepts_incomplete=true");
    for (parameters, words) in [
        (json!({"storage": 65}), "parameters.storage: not an integer from 1 to 64 (GiB)"),
        (json!({"storge": 1}), "parameters.storge: unknown"),
        (json!({"extensions": ["dblink"]}), "parameters.extensions.0: not one of"),
    ] {
        let (status, answer) = broker.send("PUT", &asynchronous, Some(body(parameters))).await;
        assert_eq!(status, 400);
        assert!(answer["description"].as_str().expect("words").starts_with(words), "{answer}");
    }
    assert_eq!(broker.get(&format!("{path}/last_operation")).await.0, 410);
    let parameters = json!({"extensions": ["citext"], "storage": 2});
    let (status, _) = broker.send("PUT", &asynchronous, Some(body(parameters.clone()))).await;
    assert_eq!(status, 202);
    assert_eq!(broker.send("PUT", &asynchronous, Some(body(json!({})))).await.0, 409);
    assert_eq!(settled(&broker, &instance).await.0, "succeeded");
    assert_eq!(broker.get(&path).await.1["parameters"], parameters);
    let session = bound(&broker, &instance).await.connect().await.expect("connected");
    session.batch_execute("SELECT 'A'::citext = 'a'").await.expect("it has the extension");
    let synchronous = format!("{path}?{}", query());
    let (status, answer) = broker.send("DELETE", &synchronous, None).await;
    assert_eq!((status, &answer["error"]), (422, &json!("AsyncRequired")));
    session.batch_execute("SELECT 1").await.expect("nothing has happened");
    removed(&place, &broker, &instance).await;
    broker.finish().await.expect("ended well");
}
