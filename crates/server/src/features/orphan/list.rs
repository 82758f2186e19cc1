//! `GET /v1/orphan`.

use dispatch_api::orphan::Orphan as Wire;
use dispatch_model::{Kind, Object, Phase, orphan::Orphan, service_broker::ServiceBroker};

use crate::http::{Answer, ApiError, Call};

pub async fn list(call: &Call) -> Result<Answer, ApiError> {
    let mut wires = Vec::new();
    for stored in call.list::<Orphan>().await? {
        let Ok(orphan) = stored.readable() else { continue };
        let store = &call.platform.store;
        let broker = store.get_by_id::<ServiceBroker>(&call.scope, orphan.spec.broker).await?;
        let name = broker.map(|broker| broker.meta().name.to_string());
        wires.push(to_wire(&orphan, name.unwrap_or_default()));
    }
    Answer::json(&wires)
}

fn to_wire(orphan: &Object<Orphan>, broker: String) -> Wire {
    let (spec, status) = (&orphan.spec, &orphan.status);
    let next = status.retry.not_before.unwrap_or(orphan.meta.created);
    Wire {
        id: orphan.meta.id.uuid(),
        kind: Kind::Orphan.as_str().to_owned(),
        broker,
        instance_id: spec.instance.to_string(),
        binding_id: spec.binding.map(|id| id.to_string()),
        cause: spec.cause.clone(),
        tries: status.retry.tries,
        last_error: status.retry.last_error.clone(),
        next_try_time: next.as_second(),
        created_time: orphan.meta.created.as_second(),
        status: Phase::Deleting.as_str().to_owned(),
    }
}
