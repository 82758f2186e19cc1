//! Changing an instance: another shared plan, more extensions; and what cannot be changed.

use dispatch_broker::postgresql::{DEDICATED_ID, SERVICE_ID, SHARED_LARGE_ID, SHARED_SMALL_ID};
use serde_json::{Value, json};

use crate::support::{Answer, Broker, Credentials, assert_gone, cluster, code, new_id, with};

async fn update(broker: &Broker, instance: &str, change: Value) -> Answer {
    let path = format!("/v2/service_instances/{instance}");
    let mut body = json!({"service_id": SERVICE_ID});
    let fields = change.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(fields);
    broker.send("PATCH", &path, Some(body)).await
}

/// The limits of the database and of a login, as PostgreSQL has them.
async fn limits(instance: &str, credentials: &Credentials) -> (i32, i32) {
    let admin = cluster().await.admin("postgres").await.expect("connected");
    let query = "SELECT d.datconnlimit, r.rolconnlimit FROM pg_database d, pg_roles r \
         WHERE d.datname = $1 AND r.rolname = $2";
    let row = admin.query_one(query, &[&instance, &credentials.get("username")]).await;
    let row = row.expect("a row");
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn an_instance_changes_between_the_shared_plans_and_back() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let (instance, binding) = (new_id(), new_id());
    let path = format!("/v2/service_instances/{instance}");
    let credentials = broker.bound(&instance, &binding).await;
    assert_eq!(limits(&instance, &credentials).await, (20, 20));
    for (plan, connections) in
        [(SHARED_LARGE_ID, 100), (SHARED_SMALL_ID, 20), (SHARED_LARGE_ID, 100)]
    {
        let change = json!({"plan_id": plan});
        assert_eq!(update(&broker, &instance, change.clone()).await, (200, json!({})));
        assert_eq!(update(&broker, &instance, change).await, (200, json!({})), "again");
        assert_eq!(limits(&instance, &credentials).await, (connections, connections));
        assert_eq!(broker.get(&path).await.1["plan_id"], plan);
    }
    // What was bound goes on, and a new login has the new plan's limit.
    credentials.connect().await.expect("connected");
    let query = format!("?service_id={SERVICE_ID}&plan_id={SHARED_LARGE_ID}");
    let body = with(crate::support::bind_body(), "plan_id", json!(SHARED_LARGE_ID));
    let (status, late) =
        broker.send("PUT", &format!("{path}/service_bindings/late"), Some(body)).await;
    assert_eq!(status, 201, "{late}");
    assert_eq!(limits(&instance, &Credentials::of(&late)).await, (100, 100));
    // The instance is that of its plan now: the old plan's request is another one.
    assert_eq!(broker.provision(&instance).await.0, 409);
    assert_eq!(broker.deprovision(&instance).await.0, 400);
    assert_eq!(broker.send("DELETE", &format!("{path}{query}"), None).await.0, 200);
    assert_gone(&instance).await;
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_and_nothing_is() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let instance = new_id();
    let credentials = broker.bound(&instance, &new_id()).await;
    for (change, status, words) in [
        (json!({"plan_id": DEDICATED_ID}), 422, "cannot get plan dedicated"),
        (json!({"plan_id": "none"}), 400, "no such plan"),
        (json!({"service_id": "none"}), 400, "no such service"),
        (json!({"parameters": {"storage": 2}}), 400, "parameters.storage: unknown"),
        (json!({"parameters": {"extensions": ["plpython3u"]}}), 400, "extensions.0: not one of"),
        (json!({"plan_id": SHARED_LARGE_ID, "parameters": {"x": 1}}), 400, "parameters.x: unknown"),
        (json!({"maintenance_info": {"version": "1.0.0"}}), 422, "maintenance version"),
    ] {
        let (got, body) = update(&broker, &instance, change.clone()).await;
        assert_eq!(got, status, "{change}: {body}");
        assert!(body["description"].as_str().expect("words").contains(words), "{change}: {body}");
    }
    assert_eq!(limits(&instance, &credentials).await, (20, 20));
    assert_eq!(update(&broker, &new_id(), json!({"plan_id": SHARED_LARGE_ID})).await.0, 404);
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn extensions_are_there_for_every_binding_and_more_can_be_added() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let instance = new_id();
    let path = format!("/v2/service_instances/{instance}");
    let body = |names: Value| {
        with(crate::support::provision_body(), "parameters", json!({"extensions": names}))
    };
    let first = body(json!(["citext", "uuid-ossp"]));
    assert_eq!(broker.send("PUT", &path, Some(first)).await, (201, json!({})));
    let again = body(json!(["uuid-ossp", "citext", "citext"]));
    assert_eq!(broker.send("PUT", &path, Some(again)).await.0, 200, "the same set");
    assert_eq!(broker.send("PUT", &path, Some(body(json!(["citext"])))).await.0, 409);
    let session =
        broker.credentials(&instance, &new_id()).await.connect().await.expect("connected");
    session
        .batch_execute("CREATE TABLE t (a citext, b uuid DEFAULT uuid_generate_v4())")
        .await
        .expect("both are there");
    let missing = session.batch_execute("SELECT 'a=>1'::hstore").await;
    assert_eq!(code(missing), "42704", "nobody has asked for hstore yet");
    let more = json!({"parameters": {"extensions": ["hstore"]}});
    assert_eq!(update(&broker, &instance, more).await, (200, json!({})));
    session.batch_execute("SELECT 'a=>1'::hstore").await.expect("it is there");
    let (_, document) = broker.get(&path).await;
    assert_eq!(document["parameters"], json!({"extensions": ["citext", "hstore", "uuid-ossp"]}));
    // They belong to the instance, not to the administrator.
    session.batch_execute("DROP EXTENSION hstore").await.expect("dropped");
    drop(session);
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    assert_gone(&instance).await;
    broker.finish().await.expect("ended well");
}
