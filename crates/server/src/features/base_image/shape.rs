//! What a base image looks like on the wire, and what may be said of one.

use dispatch_api::base_image::{BaseImage as Wire, BaseImageInput};
use dispatch_model::{
    Kind, Object, Phase,
    base_image::{BaseImage, Spec, phase},
};
use dispatch_store::Stored;

use crate::http::{ApiError, Call};

/// Clients of v0.1.22 expect to see INITIALIZED for a while (decision 14).
const SEEN_MS: u64 = 1_000;

/// The wish in a request. Whoever waits for the end does not need to see the beginning.
pub(super) fn spec(call: &Call, input: &BaseImageInput) -> Result<Spec, ApiError> {
    let docker_url = input.docker_url.clone().ok_or_else(|| ApiError::required("dockerUrl"))?;
    let language = input.language.clone().ok_or_else(|| ApiError::required("language"))?;
    let waits = call.query("wait").is_some_and(|seconds| seconds != "0");
    Ok(Spec { docker_url, language, delay_ms: if waits { 0 } else { SEEN_MS } })
}

pub(super) fn to_wire(base: &Object<BaseImage>) -> Wire {
    let (phase, reason) = phase(base);
    Wire {
        created_time: base.meta.created.as_second(),
        docker_url: base.spec.docker_url.clone(),
        groups: None,
        id: base.meta.id.uuid(),
        kind: Kind::BaseImage.as_str().to_owned(),
        language: base.spec.language.clone(),
        name: base.meta.name.to_string(),
        reason: reason.map(|reason| vec![reason]),
        status: phase.as_str().to_owned(),
        tags: dispatch_api::tag::to_wire(&base.meta.tags),
    }
}

pub(super) fn stored_to_wire(stored: &Stored<BaseImage>) -> Wire {
    match stored {
        Stored::Readable(base) => to_wire(base),
        Stored::Unreadable { meta, why } => Wire {
            created_time: meta.created.as_second(),
            docker_url: String::new(),
            groups: None,
            id: meta.id.uuid(),
            kind: Kind::BaseImage.as_str().to_owned(),
            language: String::new(),
            name: meta.name.to_string(),
            reason: Some(vec![why.to_string()]),
            status: Phase::Error.as_str().to_owned(),
            tags: dispatch_api::tag::to_wire(&meta.tags),
        },
    }
}
