//! What the broker does not do.

use std::fs;

use dispatch_broker::postgresql::{AuthenticationSource, SERVICE_ID, SHARED_SMALL_ID};
use serde_json::json;

use crate::support::{
    Broker, assert_gone, bind_body, cluster, names_with, new_id, options, provision_body, with,
};

#[tokio::test]
async fn a_faulty_request_is_refused_with_its_field_and_makes_nothing() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let (instance, made) = (new_id(), new_id());
    assert_eq!(broker.provision(&made).await.0, 201);
    let provision = format!("/v2/service_instances/{instance}");
    let bind = format!("/v2/service_instances/{made}/service_bindings/{}", new_id());
    for (field, value, status, words) in [
        ("service_id", json!("x"), 400, "service_id"),
        ("plan_id", json!("x"), 400, "plan_id"),
        ("parameters", json!({"storage": 2, "b": 1}), 400, "parameters.b"),
    ] {
        for (path, body) in [(&provision, provision_body()), (&bind, bind_body())] {
            let (got, answer) =
                broker.send("PUT", path, Some(with(body, field, value.clone()))).await;
            assert_eq!(got, status, "{path} {field}: {answer}");
            let description = answer["description"].as_str().expect("words");
            assert!(description.starts_with(words), "{description}");
        }
    }
    let maintenance = with(provision_body(), "maintenance_info", json!({"version": "1.0.0"}));
    let (status, answer) = broker.send("PUT", &provision, Some(maintenance)).await;
    assert_eq!((status, &answer["error"]), (422, &json!("MaintenanceInfoConflict")));
    let successor = with(bind_body(), "predecessor_binding_id", json!("b"));
    assert_eq!(broker.send("PUT", &bind, Some(successor)).await.0, 400);
    assert_eq!(broker.send("PATCH", &provision, Some(provision_body())).await.0, 404);
    assert_eq!(broker.deprovision(&instance).await.0, 410);
    assert_eq!(broker.bind(&instance, "b").await.0, 404);
    assert_eq!(broker.unbind(&made, "b").await.0, 410);
    assert_gone(&instance).await;
    // Empty parameters are none.
    let empty = with(provision_body(), "parameters", json!({}));
    let path = format!("/v2/service_instances/{made}");
    assert_eq!(broker.send("PUT", &path, Some(empty)).await.0, 200);
    assert_eq!(broker.deprovision(&made).await.0, 200);
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn an_id_with_other_attributes_is_a_conflict() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let (instance, binding) = (new_id(), new_id());
    let before = broker.bound(&instance, &binding).await;
    let path = format!("/v2/service_instances/{instance}");
    for field in ["organization_guid", "space_guid"] {
        let other = with(provision_body(), field, json!("other"));
        assert_eq!(broker.send("PUT", &path, Some(other)).await.0, 409, "{field}");
    }
    let renamed = with(provision_body(), "context", json!({"platform": "p", "instance_name": "n"}));
    assert_eq!(broker.send("PUT", &path, Some(renamed)).await.0, 200, "a context may change");
    let other = with(bind_body(), "bind_resource", json!({"app_guid": "other"}));
    let path = format!("{path}/service_bindings/{binding}");
    assert_eq!(broker.send("PUT", &path, Some(other)).await.0, 409);
    assert_eq!(broker.credentials(&instance, &binding).await, before);
    before.connect().await.expect("untouched");
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn what_is_not_in_the_books_is_left_alone() {
    let data = tempfile::tempdir().expect("a directory");
    let broker = Broker::on(data.path()).await;
    let admin = cluster().await.admin("postgres").await.expect("connected");
    let (database, role) = (new_id(), new_id());
    admin.batch_execute(&format!("CREATE DATABASE \"{database}\"")).await.expect("made");
    admin.batch_execute(&format!("CREATE ROLE \"{role}_owner\"")).await.expect("made");
    for instance in [&database, &role] {
        assert_eq!(broker.provision(instance).await.0, 409);
        assert_eq!(broker.deprovision(instance).await.0, 410);
        assert_eq!(names_with(instance).await.len(), 1, "still there");
    }
    admin.batch_execute(&format!("DROP DATABASE \"{database}\"")).await.expect("dropped");
    admin.batch_execute(&format!("DROP ROLE \"{role}_owner\"")).await.expect("dropped");
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn only_who_has_the_token_or_password_is_served() {
    let data = tempfile::tempdir().expect("a directory");
    let secret = data.path().join("secret");
    fs::write(&secret, "hush\n").expect("written");
    let client = reqwest::Client::builder().build().expect("a client");
    let basic = AuthenticationSource::Basic {
        username: "dispatch".to_owned(),
        password_file: secret.clone(),
    };
    for (source, is_bearer) in [(AuthenticationSource::BearerFile(secret), true), (basic, false)] {
        let mut options = options(cluster().await, &data.path().join("data"));
        options.authentication = source;
        let broker = Broker::start(options).await;
        for path in ["/v2/catalog", "/readyz"] {
            let ask = |password: Option<&str>| {
                let request = client
                    .get(format!("{}{path}", broker.url))
                    .header("X-Broker-API-Version", "2.17");
                let request = match password {
                    None => request,
                    Some(password) if is_bearer => request.bearer_auth(password),
                    Some(password) => request.basic_auth("dispatch", Some(password)),
                };
                async { request.send().await.expect("an answer").status().as_u16() }
            };
            assert_eq!(ask(None).await, 401, "{path}");
            assert_eq!(ask(Some("hush!")).await, 401, "{path}");
            assert_eq!(ask(Some("hush")).await, 200, "{path}");
        }
        broker.finish().await.expect("ended well");
    }
}

#[tokio::test]
async fn two_brokers_do_not_share_a_data_directory() {
    let data = tempfile::tempdir().expect("a directory");
    let first = Broker::on(data.path()).await;
    assert_eq!(first.get("/v2/catalog").await.0, 200);
    let second = Broker::on(data.path()).await.finish().await;
    let error = second.expect_err("refused").to_string();
    assert!(error.starts_with("another broker uses the data directory"), "{error}");
    first.finish().await.expect("ended well");
    let third = Broker::on(data.path()).await;
    assert_eq!(third.get("/v2/catalog").await.0, 200);
    third.finish().await.expect("ended well");
}

#[test]
fn the_ids_of_the_catalogue_never_change() {
    assert_eq!(SERVICE_ID, "e743b442-c425-42a6-9f09-a95adca126b7");
    assert_eq!(SHARED_SMALL_ID, "0936e800-32ac-48af-aa58-b88495df3999");
}
