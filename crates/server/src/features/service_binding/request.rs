//! The request for a binding, and who it goes to. Nothing is sent here.

use std::sync::Arc;

use dispatch_model::{
    Object, broker_operation::InFlight, service_binding::ServiceBinding,
    service_broker::ServiceBroker, service_instance::ServiceInstance,
};
use dispatch_osb::{
    client::{BindingTarget, Client, Prepared},
    types::{BindBody, BindResource, Service},
};
use dispatch_store::SealedKey;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    broker_identity,
    controller::{self, Trouble},
    features::service_instance::merge_secrets,
    platform::Platform,
};

/// Everything that a request about a binding needs.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) broker: Object<ServiceBroker>,
    pub(super) instance: Object<ServiceInstance>,
    pub(super) client: Arc<Client>,
    /// As in the catalogue now; `None` if it is not in there any more.
    pub(super) service: Option<Service>,
}

/// The broker and the instance of a binding. `Err`: why there is nobody to ask.
pub(super) async fn peer(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
) -> Result<Result<Peer, String>, Trouble> {
    let Some(instance) = controller::load(platform, binding.spec.instance).await? else {
        return Ok(Err("its service instance does not exist any more".to_owned()));
    };
    let Some(broker) = controller::load(platform, instance.spec.broker).await? else {
        return Ok(Err("its service broker does not exist any more".to_owned()));
    };
    let catalog = platform.brokers.catalog(platform, &broker).await?;
    let service = catalog.and_then(|catalog| catalog.service(&instance.spec.service).cloned());
    Ok(match platform.brokers.client(platform, &broker).await {
        Ok(client) => Ok(Peer { broker, instance, client, service }),
        Err(error) => Err(error.to_string()),
    })
}

impl Peer {
    pub(super) fn target(&self, flight: &InFlight) -> BindingTarget {
        BindingTarget {
            instance_id: self.instance_id(),
            binding_id: flight.target.to_string(),
            service_id: self.instance.spec.service.clone(),
            plan_id: self.instance.spec.plan.clone(),
        }
    }

    /// What the service needs of a platform (OSB-153).
    pub(super) fn requires(&self) -> &[String] {
        self.service.as_ref().map_or(&[], |service| service.requires.as_slice())
    }

    /// The binding that this one is to replace, if the plan knows rotation. Others are bound anew (OSB-170, OSB-173).
    fn rotated(&self, binding: &Object<ServiceBinding>) -> Option<Uuid> {
        let in_use = binding.status.credentials.as_ref()?.broker_binding_id;
        let plan = self.service.as_ref()?.plan(&self.instance.spec.plan)?;
        plan.binding_rotatable.then_some(in_use)
    }

    fn instance_id(&self) -> String {
        let status = &self.instance.status;
        status.broker_instance_id.unwrap_or(self.instance.meta.id.uuid()).to_string()
    }
}

/// The id at the broker: the binding's own for the first attempt, a fresh one for each later one.
pub(super) fn attempt_id(platform: &Platform, binding: &mut Object<ServiceBinding>) -> Uuid {
    let status = &mut binding.status;
    if let Some(id) = status.attempt {
        return id;
    }
    let id = if status.attempts == 0 { binding.meta.id.uuid() } else { platform.entropy.uuid() };
    status.attempts = status.attempts.saturating_add(1);
    status.attempt = Some(id);
    id
}

/// The request, ready to be sent any number of times. `Err`: why it cannot be made now.
pub(super) async fn prepare(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
    target: Uuid,
) -> Result<Result<Zeroizing<Vec<u8>>, String>, Trouble> {
    let peer = match peer(platform, binding).await? {
        Ok(peer) => peer,
        Err(words) => return Ok(Err(words)),
    };
    let (organization, instance) = (binding.meta.organization, &peer.instance);
    let scope = platform.system.organization(organization);
    let (given, names) = (binding.spec.parameters.clone(), &binding.spec.secret_parameters);
    let parameters = match merge_secrets(platform, &scope, given, names).await? {
        Ok(parameters) => parameters,
        Err(words) => return Ok(Err(words)),
    };
    let identity =
        broker_identity::of(platform, &peer.broker, organization, &instance.meta.name).await?;
    let predecessor = peer.rotated(binding);
    // A binding that no single function owns is the space's (decision 22).
    let application = identity.space.to_string();
    let body = BindBody {
        service_id: instance.spec.service.clone(),
        plan_id: instance.spec.plan.clone(),
        context: Some(identity.context),
        app_guid: Some(application.clone()),
        bind_resource: Some(BindResource {
            app_guid: Some(application),
            ..BindResource::default()
        }),
        // A successor has its predecessor's (OSB-171).
        parameters: parameters.filter(|_| predecessor.is_none()),
        predecessor_binding_id: predecessor.map(|id| id.to_string()),
    };
    let retrievable = peer.service.as_ref().is_some_and(|service| service.bindings_retrievable);
    let prepared = peer.client.prepare_bind(
        &peer.instance_id(),
        &target.to_string(),
        &body,
        retrievable,
        peer.requires(),
    );
    Ok(serde_json::to_vec(&prepared).map(Zeroizing::new).map_err(|error| error.to_string()))
}

pub(super) async fn sealed_request(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
    flight: &InFlight,
) -> Result<Option<Prepared>, Trouble> {
    let Some(version) = flight.body else { return Ok(None) };
    let key = SealedKey { owner: binding.meta.id.uuid(), version };
    let bytes = platform.store.sealed(&platform.system, key).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
