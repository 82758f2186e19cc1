//! `POST /v1/servicebinding`: another binding of an instance, with a secret of its own.

use dispatch_api::service_binding::ServiceBindingInput;
use dispatch_model::{
    ErrorCode, Id, Kind, Name, Object,
    object::Meta,
    service_binding::{ServiceBinding, Spec, Status},
    service_instance::ServiceInstance,
};

use super::shape;
use crate::{
    features::{
        service_class::{Which, find_class},
        service_instance::{check, merge_secrets, merged},
    },
    http::{Answer, ApiError, Call, call},
};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let input: ServiceBindingInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let instance = input.instance.as_deref().ok_or_else(|| ApiError::required("instance"))?;
    let instance: Name = instance.parse().map_err(|_| {
        ApiError::bad_request(format!("Service instance {instance} does not exist"))
    })?;
    let instance = match call.find::<ServiceInstance>(&instance).await {
        Err(error) if error.code == ErrorCode::NotFound => {
            let message = format!("Service instance {instance} does not exist");
            return Err(ApiError::bad_request(message));
        }
        found => found?,
    };
    refuse_unbindable(&instance)?;
    let spec = spec(call, &name, &instance, &input).await?;
    let id: Id<ServiceBinding> = Id::from_uuid(call.platform.entropy.uuid());
    let binding = Object {
        meta: Meta::new(id, call.organization, name, call.now, call::tags(input.tags)?),
        spec,
        status: Status::default(),
    };
    let batch = call.batch(Kind::ServiceBinding, binding.meta.name.as_str(), id.uuid()).create(
        &binding,
        &[instance.meta.id.uuid()],
        &[],
    );
    call.platform.store.commit(batch).await?;
    call.platform.wakers.wake(Kind::ServiceBinding, id.uuid());
    Ok(Answer::json(&shape::to_wire(&binding))?.about(Kind::ServiceBinding, id.uuid()))
}

fn refuse_unbindable(instance: &Object<ServiceInstance>) -> Result<(), ApiError> {
    let (name, plan) = (&instance.meta.name, &instance.spec.plan_name);
    if instance.meta.deleting.is_some() {
        return Err(ApiError::conflict(format!("service instance {name} is being deleted")));
    }
    if !instance.spec.bindable {
        return Err(ApiError::bad_request(format!(
            "service instance {name} has plan {plan}, which cannot be bound"
        )));
    }
    Ok(())
}

async fn spec(
    call: &Call,
    name: &Name,
    instance: &Object<ServiceInstance>,
    input: &ServiceBindingInput,
) -> Result<Spec, ApiError> {
    let parameters = merged(None, input.parameters.clone())?;
    let secrets = input.secret_parameters.clone().unwrap_or_default();
    let secrets: Vec<Name> =
        secrets.iter().map(|name| Ok(name.parse()?)).collect::<Result<_, ApiError>>()?;
    let all = merge_secrets(&call.platform, &call.scope, parameters.clone(), &secrets).await?;
    let all = all.map_err(ApiError::bad_request)?;
    let wanted = &instance.spec;
    let id = dispatch_model::service_class::class_id(wanted.broker, &wanted.service);
    let which = Which { name: None, id: Some(id), broker: None };
    let offering = find_class(&call.platform, &call.scope, which, true).await?;
    let plan = offering.as_ref().and_then(|offering| offering.service().plan(&wanted.plan));
    let schema = plan.and_then(|plan| plan.bind_schema());
    let what = format!("bindings of {}/{}", wanted.class_name, wanted.plan_name);
    check(&format!("service binding {name}"), &what, schema, all.as_ref())?;
    Ok(Spec {
        instance: instance.meta.id,
        instance_name: instance.meta.name.clone(),
        automatic: false,
        parameters,
        secret_parameters: secrets,
        rotation: 0,
        retry: 0,
    })
}
