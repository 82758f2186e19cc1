//! What an API looks like on the wire.

use dispatch_api::api::Api as Wire;
use dispatch_model::{Kind, Object, Phase, api::Api};
use dispatch_store::Stored;

pub(super) fn to_wire(api: &Object<Api>) -> Wire {
    let spec = &api.spec;
    let list = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    Wire {
        authentication: spec.authentication.clone(),
        cors: spec.cors,
        enabled: spec.enabled,
        function: spec.function.to_string(),
        hosts: list(&spec.hosts),
        id: api.meta.id.uuid(),
        kind: Kind::Api.as_str().to_owned(),
        methods: list(&spec.methods),
        name: api.meta.name.to_string(),
        protocols: list(&spec.protocols),
        status: Phase::Ready.as_str().to_owned(),
        tags: dispatch_api::tag::to_wire(&api.meta.tags),
        tls: spec.tls.clone(),
        uris: list(&spec.uris),
    }
}

pub(super) fn stored_to_wire(stored: &Stored<Api>) -> Wire {
    match stored {
        Stored::Readable(api) => to_wire(api),
        Stored::Unreadable { meta, .. } => Wire {
            authentication: String::new(),
            cors: false,
            enabled: false,
            function: String::new(),
            hosts: None,
            id: meta.id.uuid(),
            kind: Kind::Api.as_str().to_owned(),
            methods: None,
            name: meta.name.to_string(),
            protocols: None,
            status: Phase::Error.as_str().to_owned(),
            tags: dispatch_api::tag::to_wire(&meta.tags),
            tls: String::new(),
            uris: None,
        },
    }
}
