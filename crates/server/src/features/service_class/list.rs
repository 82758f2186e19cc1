//! `GET /v1/serviceclass`: what may be used. `?available=true` shows what is not enabled, `?broker=NAME` one broker's.

use super::{offering, shape};
use crate::http::{Answer, ApiError, Call};

pub async fn list(call: &Call) -> Result<Answer, ApiError> {
    let available = call.flag("available")?;
    let broker = call.query("broker");
    let mut wires: Vec<_> = offering::all(&call.platform, &call.scope)
        .await?
        .iter()
        .filter(|offering| offering.is_enabled() != available)
        .filter(|offering| broker.is_none_or(|broker| offering.broker.meta.name.as_str() == broker))
        .map(shape::to_wire)
        .collect();
    wires.sort_by(|a, b| (&a.name, &a.broker).cmp(&(&b.name, &b.broker)));
    Answer::json(&wires)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::TestPlatform;

    fn names(list: &Value) -> Vec<(&str, &str)> {
        let rows = list.as_array().unwrap().iter();
        rows.map(|row| (row["name"].as_str().unwrap(), row["broker"].as_str().unwrap())).collect()
    }

    #[tokio::test]
    async fn what_may_be_used_and_what_could_be_are_two_lists() {
        let platform = TestPlatform::unregistered().await;
        let body =
            json!({"name": "fake", "url": platform.broker.url(), "serviceClasses": ["fake-kv"]});
        platform.post("/v1/servicebroker", &body).await;
        let usable = platform.get("/v1/serviceclass").await.body;
        assert_eq!(names(&usable), [("fake-kv", "fake")]);
        let class = &usable[0];
        assert_eq!((&class["bindable"], &class["enabled"]), (&json!(true), &json!(true)));
        assert_eq!(class["description"], "Keys and values that nobody stores");
        assert_eq!(class["plans"][0]["name"], "only");
        assert_eq!(class["plans"][0]["schema"], json!({"create": {}, "update": {}, "bind": {}}));
        let available = platform.get("/v1/serviceclass?available=true").await.body;
        assert_eq!(names(&available), [("Odd & p.mysql/ü", "fake"), ("fake-db", "fake")]);
        assert_eq!(platform.get("/v1/serviceclass?broker=other").await.body, json!([]));
        platform.finish().await;
    }

    #[tokio::test]
    async fn two_copies_of_a_broker_stand_side_by_side_until_a_name_must_be_one_of_them() {
        let platform = TestPlatform::start().await;
        platform.register("copy").await;
        let all = platform.get("/v1/serviceclass").await.body;
        assert_eq!(names(&all).len(), 6);
        let ids: std::collections::BTreeSet<&str> =
            all.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 6, "each has an id of its own");
        let which = platform.get("/v1/serviceclass/fake-kv").await;
        assert_eq!((which.status, which.body["code"].as_i64()), (409, Some(409)));
        assert_eq!(
            which.body["message"],
            "service class fake-kv is offered by several brokers (copy, fake); say which one with broker"
        );
        let one = platform.get("/v1/serviceclass/fake-kv?broker=copy").await;
        assert_eq!((one.status, &one.body["broker"]), (200, &json!("copy")));
        assert_eq!(platform.ask("db").await.status, 409);
        let body = json!({"name": "db", "serviceClass": "fake-kv", "broker": "copy"});
        let made = platform.post("/v1/serviceinstance?wait=30", &body).await;
        assert_eq!((made.status, &made.body["broker"]), (201, &json!("copy")), "{}", made.text);
        let body = json!({"name": "db2", "serviceClassID": one.body["id"]});
        let made = platform.post("/v1/serviceinstance?wait=30", &body).await;
        assert_eq!((made.status, &made.body["broker"]), (201, &json!("copy")), "{}", made.text);
        platform.finish().await;
    }
}
