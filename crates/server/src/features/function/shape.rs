//! What a function looks like on the wire: never its source (contract §0.7).

use dispatch_api::function::{Function as Wire, Schema};
use dispatch_model::{
    Kind, Object, Phase,
    function::{Function, phase},
};
use dispatch_store::Stored;
use uuid::Uuid;

use crate::platform::Platform;

pub(super) fn to_wire(platform: &Platform, function: &Object<Function>) -> Wire {
    let spec = &function.spec;
    let (phase, reason) = phase(function);
    let texts = |texts: Vec<String>| (!texts.is_empty()).then_some(texts);
    Wire {
        confinement: platform.workers.confinement.clone(),
        created_time: function.meta.created.as_second(),
        faas_id: spec.faas_id,
        function_image_url: function
            .status
            .deployed
            .as_ref()
            .map(|deployed| format!("func-{}:latest", deployed.faas_id))
            .unwrap_or_default(),
        handler: spec.handler.clone(),
        id: function.meta.id.uuid(),
        image: spec.image_name.to_string(),
        kind: Kind::Function.as_str().to_owned(),
        name: function.meta.name.to_string(),
        reason: reason.map(|reason| vec![reason]),
        schema: Schema { input: spec.schema.input.clone(), output: spec.schema.output.clone() },
        secrets: texts(spec.secrets.iter().map(ToString::to_string).collect()),
        services: texts(spec.services.iter().map(ToString::to_string).collect()),
        source_digest: spec.source.clone(),
        status: phase.as_str().to_owned(),
        tags: dispatch_api::tag::to_wire(&function.meta.tags),
        timeout: i64::try_from(spec.timeout_ms).unwrap_or(i64::MAX),
    }
}

pub(super) fn stored_to_wire(platform: &Platform, stored: &Stored<Function>) -> Wire {
    match stored {
        Stored::Readable(function) => to_wire(platform, function),
        Stored::Unreadable { meta, why } => Wire {
            confinement: String::new(),
            created_time: meta.created.as_second(),
            faas_id: Uuid::nil(),
            function_image_url: String::new(),
            handler: String::new(),
            id: meta.id.uuid(),
            image: String::new(),
            kind: Kind::Function.as_str().to_owned(),
            name: meta.name.to_string(),
            reason: Some(vec![why.to_string()]),
            schema: Schema::default(),
            secrets: None,
            services: None,
            source_digest: String::new(),
            status: Phase::Error.as_str().to_owned(),
            tags: dispatch_api::tag::to_wire(&meta.tags),
            timeout: 0,
        },
    }
}
