//! `POST /v1/serviceinstance/{name}/retry`: another try after an ERROR, with the same parameters.

use dispatch_model::{Kind, service_instance::ServiceInstance};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn retry(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceInstance)?;
    let mut instance = call.find::<ServiceInstance>(&name).await?;
    instance.spec.retry += 1;
    instance.meta.modified = call.now;
    let (id, broker) = (instance.meta.id.uuid(), instance.spec.broker.uuid());
    let batch =
        call.batch(Kind::ServiceInstance, name.as_str(), id).update_spec(&instance, &[broker], &[]);
    call.platform.store.commit(batch).await?;
    instance.meta.generation += 1;
    call.platform.wakers.wake(Kind::ServiceInstance, id);
    let wire = shape::to_wire(&call.platform, &instance).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceInstance, id))
}

#[cfg(test)]
mod tests {
    use dispatch_osb::fake::{CallKind, End, Fault, RawAnswer, Work};
    use serde_json::json;

    use crate::testing::TestPlatform;

    const DB: &str = "/v1/serviceinstance/db";
    const RETRY: &str = "/v1/serviceinstance/db/retry?wait=60";

    #[tokio::test]
    async fn after_an_error_somebody_has_to_ask_again() {
        let platform = TestPlatform::start().await;
        let no = Fault::Instead(RawAnswer::error(400, "", "quota exceeded"));
        platform.broker.fault(CallKind::Provision, no);
        let made = platform
            .post("/v1/serviceinstance?wait=60", &json!({"name": "db", "serviceClass": "fake-kv"}))
            .await;
        assert_eq!((made.settled, &made.body["status"]), (true, &json!("ERROR")));
        assert_eq!(
            (&made.body["reason"], &made.body["binding"]["status"]),
            (&json!(["quota exceeded"]), &json!("INITIALIZED"))
        );
        platform.world.clock.advance(std::time::Duration::from_secs(86_400));
        platform.quiet().await;
        assert_eq!(platform.broker.books().count(CallKind::Provision), 1);
        let tried = platform.post(RETRY, &json!({})).await;
        assert_eq!((tried.status, &tried.body["status"]), (200, &json!("READY")), "{}", tried.text);
        assert_eq!(
            (&tried.body["reason"], &tried.body["binding"]["status"]),
            (&json!(null), &json!("READY"))
        );
        let books = platform.broker.books();
        assert!(
            books.instances.contains_key(tried.body["id"].as_str().unwrap()),
            "nothing was made, so its id is still good"
        );
        // Of a READY one there is nothing to try.
        let again = platform.post(RETRY, &json!({})).await;
        assert_eq!((again.settled, &again.body["status"]), (true, &json!("READY")));
        assert_eq!(platform.broker.books().requests.len(), books.requests.len());
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_failed_operation_is_cleaned_up_and_tried_again_under_a_new_id() {
        let platform = TestPlatform::with(|settings| {
            settings.provision = Work::polls(1).ending(End::fail("no rack is free"));
        })
        .await;
        platform.ask("db").await;
        let seen = platform.settled(DB).await;
        assert_eq!(
            (&seen["status"], &seen["reason"]),
            (&json!("ERROR"), &json!(["no rack is free"]))
        );
        assert_eq!(
            (&seen["lastOperation"]["state"], &seen["lastOperation"]["description"]),
            (&json!("failed"), &json!("no rack is free"))
        );
        platform.broker.configure(|settings| settings.provision = Work::default());
        platform.post(RETRY, &json!({})).await;
        let id = seen["id"].as_str().unwrap();
        let books = platform.broker.books();
        assert!(
            !books.instances.contains_key(id) && books.instances.len() == 1,
            "{:?}",
            books.instances
        );
        platform.finish().await;
    }

    #[tokio::test]
    async fn asking_again_does_not_wait_for_the_next_try() {
        let mut platform = TestPlatform::start().await;
        platform.broker.go_down().await;
        platform.ask("db").await;
        for _ in 0..5 {
            platform.quiet().await;
            platform.move_on();
        }
        platform.quiet().await;
        platform.broker.come_back().await.unwrap();
        let seen = platform.post(RETRY, &json!({})).await;
        assert_eq!((seen.settled, &seen.body["status"]), (true, &json!("READY")));
        platform.finish().await;
    }
}
