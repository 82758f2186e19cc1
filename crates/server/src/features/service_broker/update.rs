//! `PUT /v1/servicebroker/{name}`: a new address, login or selection. Instances stay attached (OSB-034).

use dispatch_api::service_broker::ServiceBrokerInput;
use dispatch_model::{Kind, service_broker::ServiceBroker};

use super::{builtin, input, shape};
use crate::http::{Answer, ApiError, Call, call};

pub async fn update(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBroker)?;
    let mut input: ServiceBrokerInput = call.body()?;
    if input.name.as_deref().is_some_and(|given| given != name.as_str()) {
        return Err(ApiError::bad_request("the name in the body is not the one in the path"));
    }
    let mut broker = call.find::<ServiceBroker>(&name).await?;
    if broker.meta.deleting.is_some() {
        return Err(ApiError::conflict(format!("service broker {name} is being deleted")));
    }
    if let Some(tags) = input.tags.take() {
        broker.meta.tags = call::tags(Some(tags))?;
    }
    let refresh = broker.spec.refresh + 1;
    let spec = input::spec(call, &name, input).await?;
    builtin::unmoved(&broker.spec, &spec)?;
    broker.spec = spec;
    broker.spec.refresh = refresh;
    broker.meta.modified = call.now;
    let id = broker.meta.id.uuid();
    let batch = call.batch(Kind::ServiceBroker, name.as_str(), id).update_spec(&broker, &[], &[]);
    call.platform.store.commit(batch).await?;
    broker.meta.generation += 1;
    call.platform.wakers.wake(Kind::ServiceBroker, id);
    let wire = shape::to_wire(&call.platform, &broker).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceBroker, id))
}

#[cfg(test)]
mod tests {
    use dispatch_osb::fake::FakeBroker;
    use serde_json::json;

    use crate::testing::TestPlatform;

    #[tokio::test]
    async fn a_broker_that_has_moved_is_found_again_and_its_instances_with_it() {
        let mut platform = TestPlatform::start().await;
        let before = platform.instance("db").await;
        let moved = FakeBroker::start().await.unwrap();
        let books = platform.broker.books();
        moved.edit(|new| *new = books);
        let wrong =
            platform.put("/v1/servicebroker/fake", &json!({"name": "x", "url": "http://h"})).await;
        assert_eq!(wrong.status, 400);
        let body = json!({"url": moved.url(), "serviceClasses": ["fake-kv"]});
        let seen = platform.put("/v1/servicebroker/fake?wait=30", &body).await;
        assert_eq!((seen.status, &seen.body["url"]), (200, &json!(moved.url())), "{}", seen.text);
        let old = std::mem::replace(&mut platform.broker, moved);
        let calls = old.books().requests.len();
        assert_eq!(platform.get("/v1/serviceinstance/db").await.body, before);
        platform.instance("db2").await;
        assert_eq!(
            old.finish().await.requests.len(),
            calls,
            "the old address is not called any more"
        );
        platform.finish().await;
    }
}
