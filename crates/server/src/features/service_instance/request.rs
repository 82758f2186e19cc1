//! The request for an instance, and who it goes to. Nothing is sent here.

use std::sync::Arc;

use dispatch_model::{
    Object, broker_operation::InFlight, service_broker::ServiceBroker,
    service_instance::ServiceInstance,
};
use dispatch_osb::{
    client::{Client, InstanceTarget, Prepared},
    types::ProvisionBody,
};
use dispatch_store::SealedKey;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::parameters;
use crate::{
    broker_identity,
    controller::{self, Trouble},
    platform::Platform,
};

/// The id at the broker: the instance's own for the first attempt, a fresh one after each that was abandoned.
pub(super) fn attempt_id(platform: &Platform, instance: &mut Object<ServiceInstance>) -> Uuid {
    let status = &mut instance.status;
    if let Some(id) = status.broker_instance_id {
        return id;
    }
    let id = if status.attempts == 0 { instance.meta.id.uuid() } else { platform.entropy.uuid() };
    status.attempts = status.attempts.saturating_add(1);
    status.broker_instance_id = Some(id);
    id
}

/// The request for a new instance, ready to be sent any number of times. `Err`: why it cannot be made now.
pub(super) async fn prepare(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
    target: Uuid,
) -> Result<Result<Zeroizing<Vec<u8>>, String>, Trouble> {
    let (broker, client) = match client(platform, instance).await? {
        Ok(found) => found,
        Err(words) => return Ok(Err(words)),
    };
    let scope = platform.system.organization(instance.meta.organization);
    let names = &instance.spec.secret_parameters;
    let given = instance.spec.parameters.clone();
    let parameters = match parameters::merge_secrets(platform, &scope, given, names).await? {
        Ok(parameters) => parameters,
        Err(words) => return Ok(Err(words)),
    };
    let identity =
        broker_identity::of(platform, &broker, instance.meta.organization, &instance.meta.name)
            .await?;
    let body = ProvisionBody {
        service_id: instance.spec.service.clone(),
        plan_id: instance.spec.plan.clone(),
        context: Some(identity.context),
        organization_guid: Some(identity.organization_guid),
        space_guid: Some(identity.space_guid),
        parameters,
        maintenance_info: None,
    };
    let prepared = client.prepare_provision(&target.to_string(), &body);
    Ok(serde_json::to_vec(&prepared).map(Zeroizing::new).map_err(|error| error.to_string()))
}

pub(super) async fn client(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
) -> Result<Result<(Object<ServiceBroker>, Arc<Client>), String>, Trouble> {
    let Some(broker) = controller::load(platform, instance.spec.broker).await? else {
        return Ok(Err("its service broker does not exist any more".to_owned()));
    };
    match platform.brokers.client(platform, &broker).await {
        Ok(client) => Ok(Ok((broker, client))),
        Err(error) => Ok(Err(error.to_string())),
    }
}

pub(super) async fn sealed_request(
    platform: &Platform,
    instance: &Object<ServiceInstance>,
    flight: &InFlight,
) -> Result<Option<Prepared>, Trouble> {
    let Some(version) = flight.body else { return Ok(None) };
    let key = SealedKey { owner: instance.meta.id.uuid(), version };
    let bytes = platform.store.sealed(&platform.system, key).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

pub(super) fn target(instance: &Object<ServiceInstance>, flight: &InFlight) -> InstanceTarget {
    InstanceTarget {
        instance_id: flight.target.to_string(),
        service_id: instance.spec.service.clone(),
        plan_id: instance.spec.plan.clone(),
    }
}
