//! `POST /v1/serviceclass`: makes a class of a broker's catalogue available to the organization (the seed's CREATE).

use dispatch_api::service_class::ServiceClassInput;
use dispatch_model::{
    Id, Kind, Object,
    object::{Meta, NoStatus},
    service_class::{ServiceClass, Spec},
};

use super::{Offering, Which, find_class, shape};
use crate::http::{Answer, ApiError, Call};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let input: ServiceClassInput = call.body()?;
    let name = input.name.as_deref().ok_or_else(|| ApiError::required("name"))?;
    let which = Which { name: Some(name), id: None, broker: input.broker.as_deref() };
    let offering =
        find_class(&call.platform, &call.scope, which, true).await?.ok_or_else(|| {
            ApiError::bad_request(format!("Service class {name} is in no broker's catalogue"))
        })?;
    if offering.is_enabled() {
        return Err(ApiError::already_exists(Kind::ServiceClass, name));
    }
    let offering = decide(call, offering, true).await?;
    Answer::json(&shape::to_wire(&offering))
}

/// Writes the decision about a class, over an earlier one if there is one; the offering as it is then.
pub(super) async fn decide(
    call: &Call,
    offering: Offering,
    enabled: bool,
) -> Result<Offering, ApiError> {
    let platform = &call.platform;
    let (broker, service) = (offering.broker.meta.id, offering.service().id.clone());
    let earlier = platform.store.list_referring::<ServiceClass>(&call.scope, broker.uuid()).await?;
    let earlier = earlier
        .into_iter()
        .filter_map(|stored| stored.readable().ok())
        .find(|class| class.spec.service == service);
    let batch = call.batch(Kind::ServiceClass, &offering.service().name, offering.id());
    let batch = match earlier {
        Some(mut class) => {
            class.spec.enabled = enabled;
            class.meta.modified = call.now;
            batch.update_spec(&class, &[broker.uuid()], &[])
        }
        None => {
            // A catalogue's name can hold any characters; the object's name is the class's id instead.
            let name = offering.id().to_string().parse()?;
            let id = Id::from_uuid(platform.entropy.uuid());
            let class = Object::<ServiceClass> {
                meta: Meta::new(id, call.organization, name, call.now, Default::default()),
                spec: Spec { broker, service, enabled },
                status: NoStatus {},
            };
            batch.create(&class, &[broker.uuid()], &[])
        }
    };
    platform.store.commit(batch).await?;
    let which = Which {
        name: None,
        id: Some(offering.id()),
        broker: Some(offering.broker.meta.name.as_str()),
    };
    let after = find_class(platform, &call.scope, which, true).await?;
    after.ok_or_else(|| ApiError::not_found(Kind::ServiceClass, &offering.service().name))
}
