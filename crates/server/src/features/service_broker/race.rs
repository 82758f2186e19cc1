//! Somebody makes an instance while somebody else deletes its broker: whoever is first wins, and the other is told.

use serde_json::{Value, json};

use crate::testing::TestPlatform;

/// Each takes part in its race from another moment on.
const ROUNDS: usize = 40;

/// Begins a request after so many looks at something else, so that the two meet at another place each time.
async fn later<T>(platform: &TestPlatform, looks: usize, request: impl Future<Output = T>) -> T {
    for _ in 0..looks {
        platform.get("/v1/version").await;
    }
    request.await
}

async fn names(platform: &TestPlatform, path: &str) -> Vec<String> {
    let list = platform.get(path).await.body;
    let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_never_stands_on_a_broker_that_is_gone() {
    for query in ["", "?cascade=true", "?purge=true"] {
        let platform = TestPlatform::unregistered().await;
        for round in 0..ROUNDS {
            let (broker, instance) = (format!("b{round}"), format!("i{round}"));
            platform.register(&broker).await;
            let body = json!({"name": instance, "serviceClass": "fake-kv", "broker": broker});
            let delete = format!("/v1/servicebroker/{broker}{query}");
            let (made, deleted) = tokio::join!(
                later(&platform, round % 3, platform.post("/v1/serviceinstance", &body)),
                later(&platform, round % 4, platform.delete(&delete)),
            );
            platform.quiet().await;
            let brokers = names(&platform, "/v1/servicebroker").await;
            let instances = names(&platform, "/v1/serviceinstance").await;
            assert!(
                !instances.contains(&instance) || brokers.contains(&broker),
                "{query}: {} {}; {} {}",
                made.status,
                made.text,
                deleted.status,
                deleted.text
            );
            let fine = |status| matches!(status, 200 | 201 | 400 | 409);
            assert!(fine(made.status) && fine(deleted.status), "{} {}", made.text, deleted.text);
        }
        if query == "?purge=true" {
            // What was forgotten is still there.
            platform.end().await;
        } else {
            platform.finish().await;
        }
    }
}
