//! `POST /v1/serviceinstance`: records that an instance is wanted. The controller brings it about.

use dispatch_api::service_instance::ServiceInstanceInput;
use dispatch_model::{
    Id, Kind, Name, Object,
    object::Meta,
    service_instance::{BindingWish, ServiceInstance, Spec, Status},
};

use super::{parameters, shape};
use crate::{
    features::service_class::{Offering, PlanWish, Which, find_class},
    http::{Answer, ApiError, Call, call},
};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let mut input: ServiceInstanceInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let tags = call::tags(input.tags.take())?;
    let offering = offering(call, &input).await?;
    let spec = spec(call, &name, &offering, input).await?;
    let id: Id<ServiceInstance> = Id::from_uuid(call.platform.entropy.uuid());
    let instance = Object {
        meta: Meta::new(id, call.organization, name, call.now, tags),
        spec,
        status: Status::default(),
    };
    let broker = instance.spec.broker.uuid();
    let batch = call.batch(Kind::ServiceInstance, instance.meta.name.as_str(), id.uuid()).create(
        &instance,
        &[broker],
        &[],
    );
    call.platform.store.commit(batch).await?;
    call.platform.wakers.wake(Kind::ServiceInstance, id.uuid());
    let wire = shape::to_wire(&call.platform, &instance).await?;
    Ok(Answer::json(&wire)?.about(Kind::ServiceInstance, id.uuid()))
}

async fn offering(call: &Call, input: &ServiceInstanceInput) -> Result<Offering, ApiError> {
    let which = Which {
        name: input.service_class.as_deref(),
        id: input.service_class_id,
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
    let wish = PlanWish { name: input.service_plan.as_deref(), id: input.plan_id };
    let plan = offering.plan(wish)?;
    let object = format!("service instance {name}");
    let what = format!("{}/{}", service.name, plan.name);

    let given = parameters::merged(broker.spec.parameters.as_ref(), input.parameters)?;
    let secrets = names(input.secret_parameters)?;
    let all = with_secrets(call, given.clone(), &secrets).await?;
    parameters::check(&object, &what, plan.create_schema(), all.as_ref())?;

    let binding = input.binding.unwrap_or_default();
    let bindable = plan.is_bindable(service);
    let binding_parameters = parameters::merged(None, binding.parameters)?;
    let binding_secrets = names(binding.secret_parameters)?;
    if bindable {
        let all = with_secrets(call, binding_parameters.clone(), &binding_secrets).await?;
        let what = format!("bindings of {what}");
        parameters::check(&object, &what, plan.bind_schema(), all.as_ref())?;
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
