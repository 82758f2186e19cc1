//! What an image looks like on the wire.

use dispatch_api::image::{Image as Wire, RuntimeDependencies, SystemDependencies, SystemPackage};
use dispatch_model::{
    Kind, Object, Phase,
    image::{Image, phase},
};
use dispatch_store::Stored;

pub(super) fn to_wire(image: &Object<Image>) -> Wire {
    let (phase, reason) = phase(image);
    let packages: Vec<SystemPackage> = image
        .spec
        .system_packages
        .iter()
        .map(|package| SystemPackage {
            name: package.name.clone(),
            version: package.version.clone(),
        })
        .collect();
    Wire {
        base_image_name: image.spec.base_image_name.to_string(),
        build_log: image.status.log.clone(),
        created_time: image.meta.created.as_second(),
        docker_url: image
            .status
            .built
            .as_ref()
            .map(|_| format!("dispatch/{}:latest", image.meta.id))
            .unwrap_or_default(),
        groups: None,
        id: image.meta.id.uuid(),
        kind: Kind::Image.as_str().to_owned(),
        language: image.spec.language.clone(),
        name: image.meta.name.to_string(),
        reason: reason.map(|reason| vec![reason]),
        runtime_dependencies: RuntimeDependencies { manifest: image.spec.manifest.clone() },
        status: phase.as_str().to_owned(),
        system_dependencies: SystemDependencies {
            packages: (!packages.is_empty()).then_some(packages),
        },
        tags: dispatch_api::tag::to_wire(&image.meta.tags),
    }
}

pub(super) fn stored_to_wire(stored: &Stored<Image>) -> Wire {
    match stored {
        Stored::Readable(image) => to_wire(image),
        Stored::Unreadable { meta, why } => Wire {
            base_image_name: String::new(),
            build_log: Vec::new(),
            created_time: meta.created.as_second(),
            docker_url: String::new(),
            groups: None,
            id: meta.id.uuid(),
            kind: Kind::Image.as_str().to_owned(),
            language: String::new(),
            name: meta.name.to_string(),
            reason: Some(vec![why.to_string()]),
            runtime_dependencies: RuntimeDependencies::default(),
            status: Phase::Error.as_str().to_owned(),
            system_dependencies: SystemDependencies::default(),
            tags: dispatch_api::tag::to_wire(&meta.tags),
        },
    }
}
