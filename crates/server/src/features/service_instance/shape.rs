//! What an instance looks like on the wire, its automatic binding included.

use dispatch_api::service_instance::{InstanceBinding, LastOperation, ServiceInstance as Wire};
use dispatch_model::{
    Kind, Name, Object, Phase, broker_operation,
    service_binding::{self, ServiceBinding},
    service_broker::ServiceBroker,
    service_class::{class_id, plan_id},
    service_instance::{ServiceInstance, phase},
};
use dispatch_store::{ReadError, Stored};
use uuid::Uuid;

use crate::{features::service_broker::shape::conditions, http::ApiError, platform::Platform};

pub(super) async fn to_wire(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
) -> Result<Wire, ApiError> {
    let binding = automatic_binding(platform, instance).await?;
    to_wire_with(platform, instance, binding.as_ref()).await
}

/// The binding that the instance got by itself, if it has it.
pub(super) async fn automatic_binding(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
) -> Result<Option<Object<ServiceBinding>>, ReadError> {
    let scope = platform.system.organization(instance.meta.organization);
    let bindings =
        platform.store.list_referring::<ServiceBinding>(&scope, instance.meta.id.uuid()).await?;
    let mut readable = bindings.into_iter().filter_map(|stored| stored.readable().ok());
    Ok(readable.find(|binding| binding.spec.automatic))
}

pub(super) async fn to_wire_with(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
    binding: Option<&Object<ServiceBinding>>,
) -> Result<Wire, ApiError> {
    let (spec, status) = (&instance.spec, &instance.status);
    let broker = platform.store.get_by_id::<ServiceBroker>(&platform.system, spec.broker).await?;
    let (phase, reason) = phase(instance);
    Ok(Wire {
        id: instance.meta.id.uuid(),
        kind: Kind::ServiceInstance.as_str().to_owned(),
        name: instance.meta.name.to_string(),
        service_class: spec.class_name.to_string(),
        service_plan: spec.plan_name.to_string(),
        service_class_id: class_id(spec.broker, &spec.service),
        plan_id: plan_id(spec.broker, &spec.service, &spec.plan),
        broker: broker.map(|broker| broker.meta().name.to_string()).unwrap_or_default(),
        parameters: spec.parameters.clone(),
        secret_parameters: names(&spec.secret_parameters),
        binding: spec.bindable.then(|| binding_to_wire(instance, binding)),
        dashboard_url: status.dashboard_url.clone(),
        last_operation: status.last_operation.as_ref().map(last_operation),
        conditions: conditions(&status.conditions),
        status: phase.as_str().to_owned(),
        reason: reason.map(|reason| vec![reason]),
        created_time: instance.meta.created.as_second(),
        tags: dispatch_api::tag::to_wire(&instance.meta.tags),
    })
}

pub(super) async fn stored_to_wire(
    platform: &Platform,
    stored: Stored<ServiceInstance>,
) -> Result<Wire, ApiError> {
    match stored {
        Stored::Readable(instance) => to_wire(platform, &instance).await,
        Stored::Unreadable { meta, why } => Ok(Wire {
            id: meta.id.uuid(),
            kind: Kind::ServiceInstance.as_str().to_owned(),
            name: meta.name.to_string(),
            service_class: String::new(),
            service_plan: String::new(),
            service_class_id: Uuid::nil(),
            plan_id: Uuid::nil(),
            broker: String::new(),
            parameters: None,
            secret_parameters: None,
            binding: None,
            dashboard_url: None,
            last_operation: None,
            conditions: Vec::new(),
            status: Phase::Error.as_str().to_owned(),
            reason: Some(vec![why.to_string()]),
            created_time: meta.created.as_second(),
            tags: dispatch_api::tag::to_wire(&meta.tags),
        }),
    }
}

/// `lastOperation` of instances and bindings.
pub fn last_operation(last: &broker_operation::LastOperation) -> LastOperation {
    LastOperation {
        kind: last.verb.word().to_owned(),
        state: last.state.word().to_owned(),
        description: last.description.clone(),
        since: last.since.as_second(),
        took_ms: last.took_ms,
    }
}

/// `null` when empty, as v0.1.22 sends lists.
pub fn names(names: &[Name]) -> Option<Vec<String>> {
    (!names.is_empty()).then(|| names.iter().map(ToString::to_string).collect())
}

fn binding_to_wire(
    instance: &Object<ServiceInstance>,
    binding: Option<&Object<ServiceBinding>>,
) -> InstanceBinding {
    let wish = &instance.spec.binding;
    let (phase, reason) = binding.map_or((Phase::Initialized, None), service_binding::phase);
    let credentials = binding.and_then(|binding| binding.status.credentials.as_ref());
    InstanceBinding {
        id: binding.map(|binding| binding.meta.id.uuid()),
        parameters: wish.parameters.clone(),
        secret_parameters: names(&wish.secret_parameters),
        secret: credentials.map(|credentials| credentials.secret_name.to_string()),
        keys: credentials.map(|credentials| credentials.keys.clone()).unwrap_or_default(),
        last_operation: binding
            .and_then(|binding| binding.status.last_operation.as_ref())
            .map(last_operation),
        status: phase.as_str().to_owned(),
        reason: reason.map(|reason| vec![reason]),
        created_time: binding.map(|binding| binding.meta.created.as_second()),
        expires_at: credentials
            .and_then(|credentials| credentials.expires)
            .map(|expires| expires.as_second()),
    }
}
