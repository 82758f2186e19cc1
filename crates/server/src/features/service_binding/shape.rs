//! What a binding looks like on the wire: names of things, never values.

use dispatch_api::service_binding::{Endpoint, ServiceBinding as Wire};
use dispatch_model::{
    Kind, Object, Phase,
    service_binding::{ServiceBinding, phase},
};
use dispatch_store::Stored;

use crate::features::service_instance::shape::{last_operation, names};

pub(super) fn to_wire(binding: &Object<ServiceBinding>) -> Wire {
    let (spec, status) = (&binding.spec, &binding.status);
    let credentials = status.credentials.as_ref();
    let (phase, reason) = phase(binding);
    let endpoint = |endpoint: &dispatch_model::service_binding::Endpoint| Endpoint {
        host: endpoint.host.clone(),
        port: endpoint.port,
    };
    Wire {
        id: binding.meta.id.uuid(),
        kind: Kind::ServiceBinding.as_str().to_owned(),
        name: binding.meta.name.to_string(),
        instance: spec.instance_name.to_string(),
        function: String::new(),
        parameters: spec.parameters.clone(),
        secret_parameters: names(&spec.secret_parameters),
        secret: credentials
            .map(|credentials| credentials.secret_name.to_string())
            .unwrap_or_default(),
        keys: credentials.map(|credentials| credentials.keys.clone()).unwrap_or_default(),
        credentials_version: credentials.map_or(0, |credentials| credentials.version),
        expires_time: credentials
            .and_then(|credentials| credentials.expires)
            .map(|expires| expires.as_second()),
        endpoints: credentials
            .map(|credentials| credentials.endpoints.iter().map(endpoint).collect())
            .unwrap_or_default(),
        last_operation: status.last_operation.as_ref().map(last_operation),
        status: phase.as_str().to_owned(),
        reason: reason.map(|reason| vec![reason]),
        created_time: binding.meta.created.as_second(),
        tags: dispatch_api::tag::to_wire(&binding.meta.tags),
    }
}

pub(super) fn stored_to_wire(stored: &Stored<ServiceBinding>) -> Wire {
    match stored {
        Stored::Readable(binding) => to_wire(binding),
        Stored::Unreadable { meta, why } => Wire {
            id: meta.id.uuid(),
            kind: Kind::ServiceBinding.as_str().to_owned(),
            name: meta.name.to_string(),
            instance: String::new(),
            function: String::new(),
            parameters: None,
            secret_parameters: None,
            secret: String::new(),
            keys: Vec::new(),
            credentials_version: 0,
            expires_time: None,
            endpoints: Vec::new(),
            last_operation: None,
            status: Phase::Error.as_str().to_owned(),
            reason: Some(vec![why.to_string()]),
            created_time: meta.created.as_second(),
            tags: dispatch_api::tag::to_wire(&meta.tags),
        },
    }
}
