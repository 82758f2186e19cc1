//! The limit of the disk: read-only beyond it, shut far beyond it, and back.

use dispatch_broker::postgresql::{SERVICE_ID, SHARED_LARGE_ID};
use serde_json::{Value, json};

use super::place::{Place, bind, bound, made, path, removed, text, unbind};
use crate::support::{Answer, Broker, Credentials, code, eventually, new_id};

/// A cluster has 25 MiB of its own.
const GIB: u64 = 64 << 20;

async fn update(broker: &Broker, instance: &str, fields: Value) -> Answer {
    let mut body = json!({"service_id": SERVICE_ID});
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
    broker.send("PATCH", &path(instance), Some(body)).await
}

async fn says(broker: &Broker, instance: &str, words: &str) {
    eventually(|| async {
        let (_, body) = broker.get(&path(instance)).await;
        match text(&body, "/metadata/attributes/storage").contains(words) {
            true => Ok(()),
            false => Err(format!("not {words}: {body}")),
        }
    })
    .await;
}

/// Writes so many MiB, one by one, as somebody who minds no limit: what ends a session makes it
/// begin another one.
async fn fill(credentials: &Credentials, mib: u32) {
    let mut written = 0;
    while let Ok(session) = credentials.connect().await {
        let prepare = "SET default_transaction_read_only = off";
        let mut result = session.batch_execute(prepare).await;
        while result.is_ok() && written < mib {
            let insert = "INSERT INTO t VALUES (repeat('x', 1024 * 1024))";
            result = session.batch_execute(insert).await;
            written += u32::from(result.is_ok());
        }
        if written == mib {
            return;
        }
    }
}

#[tokio::test]
async fn a_full_database_is_read_only_then_shut_and_comes_back() {
    let place = Place::new();
    let mut options = place.options().await;
    if let Some(dedicated) = &mut options.dedicated {
        dedicated.gib_bytes = GIB;
    }
    let broker = Broker::start(options).await;
    let instance = made(&broker).await;
    let credentials = bound(&broker, &instance).await;
    says(&broker, &instance, "writable").await;
    let before = credentials.connect().await.expect("connected");
    let table = "CREATE TABLE t (a text); ALTER TABLE t ALTER a SET STORAGE EXTERNAL";
    before.batch_execute(table).await.expect("made");

    fill(&credentials, 45).await;
    says(&broker, &instance, "full").await;
    assert!(before.batch_execute("SELECT 1").await.is_err(), "sessions from before have ended");
    let session = credentials.connect().await.expect("reading goes on");
    session.batch_execute("SELECT count(*) FROM t").await.expect("read");
    assert_eq!(code(session.batch_execute("INSERT INTO t VALUES ('y')").await), "25006");
    // Bindings are made and removed all the same.
    let binding = new_id();
    let (status, body) = bind(&broker, &instance, &binding).await;
    assert_eq!(status, 201, "{body}");
    drop(Credentials::of(&body).connect().await.expect("connected"));
    assert_eq!(unbind(&broker, &instance, &binding).await, (200, json!({})));

    session.batch_execute("SET default_transaction_read_only = off").await.expect("set");
    session.batch_execute("TRUNCATE t").await.expect("space can be freed");
    says(&broker, &instance, "writable").await;
    fill(&credentials, 1).await;
    let session = credentials.connect().await.expect("connected");
    session.batch_execute("INSERT INTO t VALUES ('y')").await.expect("writable again");

    fill(&credentials, 70).await;
    says(&broker, &instance, "no connections").await;
    assert_eq!(code(credentials.connect().await), "53300");
    assert!(session.batch_execute("SELECT 1").await.is_err(), "all sessions have ended");
    let answer = update(&broker, &instance, json!({"parameters": {"storage": 4}})).await;
    assert_eq!(answer, (200, json!({})));
    says(&broker, &instance, "writable").await;
    let session = credentials.connect().await.expect("connected");
    session.batch_execute("INSERT INTO t VALUES ('y')").await.expect("writable again");
    let limit = session.query_one("SHOW temp_file_limit", &[]).await.expect("a row");
    assert_eq!(limit.get::<_, String>(0), "256MB");

    for (fields, words) in [
        (json!({"parameters": {"storage": 3}}), "raised, not lowered"),
        (json!({"plan_id": SHARED_LARGE_ID}), "cannot get plan shared-large"),
    ] {
        let (status, body) = update(&broker, &instance, fields).await;
        assert_eq!(status, 422, "{body}");
        assert!(body["description"].as_str().expect("words").contains(words), "{body}");
    }
    assert_eq!(broker.get(&path(&instance)).await.1["parameters"], json!({"storage": 4}));
    removed(&place, &broker, &instance).await;
    broker.finish().await.expect("ended well");
}
