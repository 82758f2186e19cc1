//! What comes of asking for an instance.

use dispatch_osb::fake::{CallKind, Work, ids};
use serde_json::{Value, json};

use crate::testing::TestPlatform;

const ALL: &str = "/v1/serviceinstance";
const DB: &str = "/v1/serviceinstance/db";

#[tokio::test]
async fn an_instance_and_its_binding_are_ready_when_the_held_answer_comes() {
    let platform = TestPlatform::start().await;
    let body = json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "small", "parameters": {"size": 3}});
    let made = platform.post("/v1/serviceinstance?wait=60", &body).await;
    assert_eq!((made.status, made.settled), (201, true), "{}", made.text);
    let (seen, id) = (&made.body, made.body["id"].as_str().unwrap());
    assert_eq!((&seen["status"], &seen["reason"]), (&json!("READY"), &json!(null)));
    assert_eq!((&seen["serviceClass"], &seen["servicePlan"]), (&json!("fake-db"), &json!("small")));
    assert_eq!((&seen["broker"], &seen["parameters"]), (&json!("fake"), &json!({"size": 3})));
    assert_eq!(seen["dashboardUrl"], format!("https://dashboard.example/{id}"));
    assert_eq!(
        (&seen["lastOperation"]["type"], &seen["lastOperation"]["state"]),
        (&json!("create"), &json!("succeeded"))
    );
    let binding = &seen["binding"];
    assert_eq!((&binding["status"], &binding["secret"]), (&json!("READY"), &json!(id)));
    assert_eq!(binding["keys"], json!(["host", "nested", "password", "port", "ssl", "username"]));

    // Clients of the first Dispatch look for the credentials under the instance's id.
    let secret = platform.get(&format!("/v1/secret/{id}")).await.body;
    let binding = binding["id"].as_str().unwrap();
    assert_eq!(secret["secrets"]["password"], format!("password-of-{binding}"));
    assert_eq!(
        (&secret["secrets"]["port"], &secret["secrets"]["ssl"]),
        (&json!("5432"), &json!("true"))
    );
    assert_eq!(secret["secrets"]["nested"], r#"{"list":[1,"two",null]}"#);

    let books = platform.broker.books();
    let sent = books.requests_of(CallKind::Provision)[0].json();
    assert_eq!(sent["parameters"], json!({"size": 3}));
    assert_eq!(
        (&sent["context"]["platform"], &sent["context"]["instance_name"]),
        (&json!("dispatch"), &json!("db"))
    );
    assert_eq!(sent["context"]["organization_guid"], sent["organization_guid"]);
    let bound = books.requests_of(CallKind::Bind)[0].json();
    assert_eq!(
        (&bound["app_guid"], &bound["bind_resource"]["app_guid"]),
        (&sent["space_guid"], &sent["space_guid"])
    );
    assert!(books.instances.contains_key(id), "the first attempt has the instance's own id");
    assert_eq!(platform.get(DB).await.body, *seen);
    assert_eq!(platform.get(ALL).await.body, json!([seen]));
    platform.finish().await;
}

#[tokio::test]
async fn what_takes_long_is_shown_in_the_brokers_words() {
    let platform = TestPlatform::with(|settings| {
        settings.provision =
            Work { progress: vec!["laying cables".into(), "plugging in".into()], ..Work::polls(2) };
        settings.bind = Work { progress: vec!["cutting keys".into()], ..Work::polls(1) };
    })
    .await;
    let body = json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "small"});
    let made = platform.post(ALL, &body).await;
    assert_eq!((&made.body["status"], &made.body["reason"]), (&json!("INITIALIZED"), &json!(null)));
    let mut words: Vec<String> = Vec::new();
    loop {
        platform.quiet().await;
        let seen = platform.get(DB).await.body;
        let last = format!(
            "{} {}",
            seen["status"].as_str().unwrap(),
            seen["lastOperation"]["description"].as_str().unwrap()
        );
        let said = platform.get("/v1/servicebinding/db").await.body;
        let last = match said["lastOperation"]["description"].as_str() {
            Some(words) => format!("{last}, {} {words}", said["status"].as_str().unwrap()),
            None => last,
        };
        if words.last() != Some(&last) {
            words.push(last);
        }
        if seen["binding"]["status"] == "READY" || !platform.move_on() {
            break;
        }
    }
    let expect = [
        "CREATING ",
        "CREATING laying cables",
        "CREATING plugging in",
        "READY , CREATING ",
        "READY , CREATING cutting keys",
        "READY , READY ",
    ];
    assert_eq!(words, expect);
    let books = platform.broker.books();
    assert_eq!((books.count(CallKind::PollInstance), books.count(CallKind::PollBinding)), (3, 2));
    assert_eq!(books.count(CallKind::GetBinding), 1, "its credentials are fetched");
    platform.finish().await;
}

#[tokio::test]
async fn a_held_answer_comes_in_time_even_if_nothing_has_settled() {
    let platform = TestPlatform::with(|settings| settings.provision = Work::held()).await;
    let body = json!({"name": "db", "serviceClass": "fake-kv"});
    let held = platform.passing(platform.post("/v1/serviceinstance?wait=3", &body)).await;
    assert_eq!((held.status, held.settled, &held.body["status"]), (201, false, &json!("CREATING")));
    let wrong = platform.get("/v1/serviceinstance/db?wait=301").await;
    assert_eq!((wrong.status, &wrong.body["code"]), (422, &json!(601)), "{}", wrong.text);
    platform.broker.release();
    let held = platform.passing(platform.get("/v1/serviceinstance/db?wait=300")).await;
    assert_eq!((held.settled, &held.body["binding"]["status"]), (true, &json!("READY")));
    platform.finish().await;
}

#[tokio::test]
async fn an_unknown_class_or_plan_is_refused_in_the_first_dispatchs_words() {
    let platform = TestPlatform::start().await;
    let check = async |body: Value, status: u16, code: i64, message: &str| {
        let answer = platform.post(ALL, &body).await;
        let seen = (
            answer.status,
            answer.body["code"].as_i64().unwrap(),
            answer.body["message"].as_str().unwrap(),
        );
        assert_eq!(seen, (status, code, message), "{body}");
    };
    check(json!({"serviceClass": "x"}), 422, 602, "name in body is required").await;
    check(json!({"name": "db"}), 422, 602, "serviceClass in body is required").await;
    check(
        json!({"name": "db", "serviceClass": "x", "servicePlan": "y"}),
        400,
        400,
        "Service class x does not exist",
    )
    .await;
    let plan = "Service plan x does not exist in service class fake-db; there is small, large, rotating, silent";
    check(json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "x"}), 400, 400, plan)
        .await;
    let which = "servicePlan in body is required: fake-db has small, large, rotating, silent";
    check(json!({"name": "db", "serviceClass": "fake-db"}), 422, 602, which).await;
    let secret = json!({"name": "db", "serviceClass": "fake-kv", "secretParameters": ["none"]});
    check(secret, 400, 400, "secret none does not exist").await;
    assert_eq!(platform.get(ALL).await.body, json!([]));
    assert_eq!(platform.broker.books().requests.len(), 1, "the catalogue only");
    platform.finish().await;
}

#[tokio::test]
async fn everything_that_is_wrong_with_the_parameters_is_said_before_the_broker_hears_of_it() {
    let platform = TestPlatform::start().await;
    let body = json!({
        "name": "db", "serviceClass": "fake-db", "servicePlan": "small",
        "parameters": {"size": "ten", "mode": "slow", "sice": 1},
    });
    let refused = platform.post(ALL, &body).await;
    assert_eq!((refused.status, &refused.body["code"]), (422, &json!(422)));
    assert_eq!(
        refused.body["message"],
        "service instance db: 3 faults in the parameters for fake-db/small"
    );
    let mut paths: Vec<&str> = refused.body["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/mode", "/sice", "/size"]);
    let body = json!({
        "name": "db", "serviceClass": "fake-db", "servicePlan": "small", "binding": {"parameters": {"role": 1}},
    });
    let refused = platform.post(ALL, &body).await;
    assert_eq!(
        (refused.status, &refused.body["faults"][0]["path"]),
        (422, &json!("/role")),
        "{}",
        refused.text
    );
    let list = json!({"name": "db", "serviceClass": "fake-kv", "parameters": [1]});
    assert_eq!(platform.post(ALL, &list).await.body["code"], 601);
    assert_eq!(platform.broker.books().requests.len(), 1, "the catalogue only");
    platform.finish().await;
}

#[tokio::test]
async fn ids_win_over_names_and_must_not_disagree_with_them() {
    let platform = TestPlatform::start().await;
    let class = platform.get("/v1/serviceclass/fake-db").await.body;
    let plan = &class["plans"][1];
    let body = json!({"name": "db", "serviceClassID": class["id"], "planID": plan["id"]});
    let made = platform.post("/v1/serviceinstance?wait=60", &body).await;
    assert_eq!(
        (&made.body["serviceClass"], &made.body["servicePlan"]),
        (&json!("fake-db"), &json!("large"))
    );
    assert_eq!((&made.body["serviceClassID"], &made.body["planID"]), (&class["id"], &plan["id"]));
    let check = async |change: Value, message: &str| {
        let mut body =
            json!({"name": "other", "serviceClassID": class["id"], "planID": plan["id"]});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = platform.post(ALL, &body).await;
        let found = refused.body["message"].as_str().unwrap();
        assert!(refused.status == 400 && found.starts_with(message), "{found}");
    };
    check(json!({"serviceClass": "fake-kv"}), "serviceClass fake-kv and serviceClassID").await;
    check(json!({"servicePlan": "small"}), "servicePlan small and planID").await;
    check(json!({"planID": class["id"]}), "Service plan").await;
    check(json!({"serviceClassID": plan["id"]}), "Service class").await;

    // After a rename the ids go on meaning the same, and so do instances.
    platform.broker.configure(|settings| {
        for service in &mut settings.catalog.services {
            service.name = format!("new-{}", service.name);
        }
    });
    platform.post("/v1/servicebroker/fake/refresh?wait=30", &json!({})).await;
    let body = json!({"name": "db2", "serviceClassID": class["id"], "planID": plan["id"]});
    let made = platform.post("/v1/serviceinstance?wait=60", &body).await;
    assert_eq!(
        (made.status, &made.body["serviceClass"]),
        (201, &json!("new-fake-db")),
        "{}",
        made.text
    );
    platform.finish().await;
}

#[tokio::test]
async fn parameters_come_from_the_user_over_the_brokers_defaults_and_from_secrets() {
    let platform = TestPlatform::unregistered().await;
    let body = json!({"name": "fake", "url": platform.broker.url(), "parameters": {"size": 1, "mode": "safe"}});
    platform.post("/v1/servicebroker", &body).await;
    platform.post("/v1/secret", &json!({"name": "s", "secrets": {"secret": "hush"}})).await;
    platform.post("/v1/secret", &json!({"name": "r", "secrets": {"role": "owner"}})).await;
    let body = json!({
        "name": "db", "serviceClass": "fake-db", "servicePlan": "small",
        "parameters": {"size": 2}, "secretParameters": ["s"], "binding": {"secretParameters": ["r"]},
    });
    let made = platform.post("/v1/serviceinstance?wait=60", &body).await;
    assert_eq!(made.body["binding"]["status"], "READY", "{}", made.text);
    assert_eq!(
        (&made.body["parameters"], &made.body["secretParameters"]),
        (&json!({"mode": "safe", "size": 2}), &json!(["s"]))
    );
    assert!(!made.text.contains("hush"), "names of things, never values");
    let books = platform.broker.books();
    let sent = books.requests_of(CallKind::Provision)[0].json();
    assert_eq!(sent["parameters"], json!({"mode": "safe", "secret": "hush", "size": 2}));
    let bound = books.requests_of(CallKind::Bind)[0].json();
    assert_eq!(bound["parameters"], json!({"role": "owner"}));
    let twice = json!({
        "name": "db2", "serviceClass": "fake-db", "servicePlan": "small",
        "parameters": {"secret": "x"}, "secretParameters": ["s"],
    });
    let refused = platform.post(ALL, &twice).await;
    assert_eq!(refused.body["message"], "parameter secret is given twice, once by secret s");
    platform.finish().await;
}

#[tokio::test]
async fn an_instance_of_a_plan_that_cannot_be_bound_has_no_binding_and_is_ready_all_the_same() {
    let platform = TestPlatform::start().await;
    let body = json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "silent"});
    let made = platform.post("/v1/serviceinstance?wait=60", &body).await;
    assert_eq!((made.status, made.settled, &made.body["status"]), (201, true, &json!("READY")));
    assert_eq!(made.body.get("binding"), None);
    let refused =
        platform.post("/v1/servicebinding", &json!({"name": "b", "instance": "db"})).await;
    let message = "service instance db has plan silent, which cannot be bound";
    assert_eq!((refused.status, &refused.body["message"]), (400, &json!(message)));
    assert_eq!(platform.broker.books().count(CallKind::Bind), 0);
    platform.finish().await;
}

#[tokio::test]
async fn of_two_creates_of_one_name_one_succeeds() {
    let platform = TestPlatform::start().await;
    let (a, b) = tokio::join!(platform.ask("db"), platform.ask("db"));
    let mut found = [a.status, b.status];
    found.sort_unstable();
    assert_eq!(found, [201, 409]);
    platform.instance("db2").await;
    assert_eq!(platform.broker.books().instances.len(), 2);
    platform.finish().await;
}

#[tokio::test]
async fn a_broker_that_works_asynchronously_only_gets_what_it_needs() {
    // Its bindings cannot be fetched, so that it must answer at once; what it needs it cannot have.
    let platform = TestPlatform::with(|settings| settings.bind = Work::polls(1)).await;
    platform.ask("db").await;
    let seen = platform.settled(DB).await;
    assert_eq!((&seen["status"], &seen["binding"]["status"]), (&json!("READY"), &json!("ERROR")));
    assert_eq!(
        platform.broker.books().instances[seen["id"].as_str().unwrap()].body.service_id,
        ids::PLAIN
    );
    assert!(seen["binding"]["reason"][0].as_str().unwrap().len() > 10, "{seen}");
    platform.finish().await;
}
