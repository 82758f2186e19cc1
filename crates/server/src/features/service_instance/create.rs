//! `POST /v1/serviceinstance`: records that an instance is wanted. The controller brings it about.

use dispatch_api::service_instance::ServiceInstanceInput;
use dispatch_model::{
    ErrorCode, Id, Kind, Name, Object,
    object::Meta,
    service_instance::{BindingWish, ServiceInstance, Spec, Status},
};
use uuid::Uuid;

use super::{parameters, shape};
use crate::{
    features::service_class::{Offering, PlanWish, Which, find_class},
    http::{Answer, ApiError, Call, call, commit_on},
};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let mut input: ServiceInstanceInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let tags = call::tags(input.tags.take())?;
    let id: Id<ServiceInstance> = Id::from_uuid(call.platform.entropy.uuid());
    let meta = Meta::new(id, call.organization, name, call.now, tags);
    let instance = store(call, meta, input).await?;
    call.platform.wakers.wake(Kind::ServiceInstance, id.uuid());
    let wire = shape::to_wire(&call.platform, &instance).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceInstance, id.uuid()))
}

/// Stores the wish on its broker as that was when the wish was checked.
async fn store(
    call: &Call,
    meta: Meta<ServiceInstance>,
    input: ServiceInstanceInput,
) -> Result<Object<ServiceInstance>, ApiError> {
    commit_on(call, &[Kind::ServiceBroker], || async {
        let offering = offering(call, &input).await?;
        let spec = spec(call, &meta.name, &offering, input.clone()).await?;
        let instance = Object { meta: meta.clone(), spec, status: Status::default() };
        let batch = call
            .batch(Kind::ServiceInstance, meta.name.as_str(), meta.id.uuid())
            .require(&offering.broker.meta)
            .create(&instance, &[instance.spec.broker.uuid()], &[]);
        Ok((batch, instance))
    })
    .await
}

async fn offering(call: &Call, input: &ServiceInstanceInput) -> Result<Offering, ApiError> {
    let which = Which {
        name: input.service_class.as_deref(),
        id: uuid("serviceClassID", input.service_class_id.as_deref())?,
        broker: input.broker.as_deref(),
    };
    if which.name.is_none() && which.id.is_none() {
        return Err(ApiError::required("serviceClass"));
    }
    let found = find_class(&call.platform, &call.scope, which, false).await?;
    found.ok_or_else(|| {
        let meant = which.name.map(str::to_owned).or(which.id.map(|id| id.to_string()));
        ApiError::bad_request(format!("Service class {} does not exist", meant.unwrap_or_default()))
    })
}

/// The wish, with class and plan as ids, and all parameters checked.
async fn spec(
    call: &Call,
    name: &Name,
    offering: &Offering,
    input: ServiceInstanceInput,
) -> Result<Spec, ApiError> {
    let (broker, service) = (&offering.broker, offering.service());
    let id = uuid("planID", input.plan_id.as_deref())?;
    let wish = PlanWish { name: input.service_plan.as_deref(), id };
    let plan = offering.plan(wish)?;
    let object = format!("service instance {name}");
    let what = format!("{}/{}", service.name, plan.name);

    let given = parameters::merged(broker.spec.default_parameters(), input.parameters)?;
    let secrets = names(input.secret_parameters)?;
    let all = with_secrets(call, given.clone(), &secrets).await?;
    parameters::check(&object, &what, plan.create_schema(), given.as_ref(), all.as_ref()).await?;

    let binding = input.binding.unwrap_or_default();
    let bindable = plan.is_bindable(service);
    let binding_parameters = parameters::merged(None, binding.parameters)?;
    let binding_secrets = names(binding.secret_parameters)?;
    if bindable {
        let all = with_secrets(call, binding_parameters.clone(), &binding_secrets).await?;
        let what = format!("bindings of {what}");
        let given = binding_parameters.as_ref();
        parameters::check(&object, &what, plan.bind_schema(), given, all.as_ref()).await?;
    }
    Ok(Spec {
        broker: broker.meta.id,
        service: service.id.clone(),
        plan: plan.id.clone(),
        class_name: service.name.parse()?,
        plan_name: plan.name.parse()?,
        bindable,
        parameters: given,
        secret_parameters: secrets,
        binding: BindingWish { parameters: binding_parameters, secret_parameters: binding_secrets },
        retry: 0,
    })
}

fn uuid(field: &str, text: Option<&str>) -> Result<Option<Uuid>, ApiError> {
    let wrong = |text| {
        let message = format!("{field} in body must be of type uuid: {text:?}");
        ApiError::new(ErrorCode::WrongType, message)
    };
    text.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

async fn with_secrets(
    call: &Call,
    given: Option<serde_json::Value>,
    names: &[Name],
) -> Result<Option<dispatch_osb::types::JsonObject>, ApiError> {
    let merged = parameters::merge_secrets(&call.platform, &call.scope, given, names).await?;
    merged.map_err(ApiError::bad_request)
}

fn names(names: Option<Vec<String>>) -> Result<Vec<Name>, ApiError> {
    names.unwrap_or_default().iter().map(|name| Ok(name.parse()?)).collect()
}

#[cfg(test)]
mod tests;
