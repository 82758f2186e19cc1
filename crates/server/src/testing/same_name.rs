//! Several creates of one name at the same time: one object comes of it, and the others are told.

use serde_json::{Value, json};

use super::TestPlatform;

const AT_ONCE: usize = 8;

async fn check(platform: &TestPlatform, collection: &str, message: &str, body: Value) {
    let asked = (0..AT_ONCE).map(|_| platform.post(collection, &body));
    let answers = futures::future::join_all(asked).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    let [made] = made.as_slice() else { panic!("{collection}: {answers:#?}") };
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        let seen = (refused.status, &refused.body["code"], &refused.body["message"]);
        assert_eq!(seen, (409, &json!(409), &json!(message)), "{collection}");
    }
    let all = platform.get(collection).await.body;
    let ids: Vec<&Value> = all.as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&made.body["id"]], "{collection}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_creates_of_one_name_one_is_made() {
    let platform = TestPlatform::unregistered().await;
    let url = platform.broker.url();
    let secret = json!({"name": "x", "secrets": {"token": "t"}});
    check(&platform, "/v1/secret", "secret x already exists", secret).await;
    let broker = json!({"name": "x", "url": url});
    check(&platform, "/v1/servicebroker", "service broker x already exists", broker).await;
    let instance = json!({"name": "x", "serviceClass": "fake-kv"});
    check(&platform, "/v1/serviceinstance", "service instance x already exists", instance).await;
    platform.settled("/v1/serviceinstance/x").await;
    platform.delete("/v1/servicebinding/x").await;
    platform.gone("/v1/servicebinding/x").await;
    let binding = json!({"name": "y", "instance": "x"});
    check(&platform, "/v1/servicebinding", "service binding y already exists", binding).await;
    platform.settled("/v1/servicebinding/y").await;
    let books = platform.broker.books();
    assert_eq!((books.instances_ever.len(), books.bindings_ever.len()), (1, 2));
    platform.finish().await;
}
