//! The next step for a function. Pure.

use dispatch_model::{
    Object, Phase,
    function::Function,
    image::{Built, Image, phase},
};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Build it on this image, prove it, and put it into service.
    Build(Built),
    /// Nothing can be built now: why. The image's controller wakes us.
    Wait(String),
    /// Have calls use what is deployed.
    Project,
    Forget,
    Rest,
}

/// `projected`: calls already use what is deployed. `layers_lost`: what is deployed is not on this disk any more.
pub(super) fn plan(
    function: &Object<Function>,
    image: Option<&Object<Image>>,
    projected: bool,
    layers_lost: bool,
) -> Step {
    if function.meta.deleting.is_some() {
        return Step::Forget;
    }
    let status = &function.status;
    let observed = status.observed_generation == function.meta.generation;
    let built = image.and_then(|image| image.status.built.as_ref());
    let stale = layers_lost
        || match (&status.deployed, built) {
            (Some(deployed), Some(built)) => {
                deployed.base_digest != built.base_digest || deployed.image_layer != built.layer
            }
            _ => false,
        };
    // What has failed on this very image fails again.
    let hopeless = built.is_some() && status.failed_on.as_ref() == built;
    if observed && status.failure.is_some() && (!stale || hopeless) {
        return if status.deployed.is_some() && !projected { Step::Project } else { Step::Rest };
    }
    if !observed || stale {
        return match (image, built) {
            (Some(_), Some(built)) => Step::Build(built.clone()),
            // What runs goes on without its image (decision 12).
            _ if observed => Step::Rest,
            (None, _) => {
                Step::Wait(format!("its image {} does not exist", function.spec.image_name))
            }
            (Some(image), None) => {
                let name = &image.meta.name;
                Step::Wait(match phase(image) {
                    (Phase::Error, Some(reason)) => format!("its image {name} failed: {reason}"),
                    (phase, _) => format!("its image {name} is {}", phase.as_str()),
                })
            }
        };
    }
    if projected { Step::Rest } else { Step::Project }
}

#[cfg(test)]
mod tests {
    use dispatch_model::{
        Id, Tags,
        function::{Deployed, Schemas, Spec, Status},
        image,
        object::Meta,
    };
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn built_on(digest: &str) -> Built {
        Built { runtime: "python3".to_owned(), layer: None, base_digest: digest.to_owned() }
    }

    fn meta<K>() -> Meta<K> {
        let (id, organization) = (Id::from_uuid(Uuid::nil()), Id::from_uuid(Uuid::nil()));
        Meta::new(id, organization, "x".parse().unwrap(), Timestamp::UNIX_EPOCH, Tags::new())
    }

    fn function(status: Status) -> Object<Function> {
        let spec = Spec {
            image: Id::from_uuid(Uuid::nil()),
            image_name: "python3".parse().unwrap(),
            handler: String::new(),
            source: String::new(),
            schema: Schemas::default(),
            secrets: Vec::new(),
            services: Vec::new(),
            timeout_ms: 0,
            faas_id: Uuid::nil(),
        };
        Object { meta: meta(), spec, status }
    }

    fn image(built: Option<&str>) -> Object<Image> {
        let spec = image::Spec {
            base_image: Id::from_uuid(Uuid::nil()),
            base_image_name: "b".parse().unwrap(),
            language: String::new(),
            manifest: String::new(),
            system_packages: Vec::new(),
        };
        let built = built.map(built_on);
        let status = image::Status { observed_generation: 1, built, ..image::Status::default() };
        Object { meta: meta(), spec, status }
    }

    fn deployed(base: &str) -> Option<Deployed> {
        Some(Deployed {
            faas_id: Uuid::nil(),
            runtime: "python3".to_owned(),
            base_digest: base.to_owned(),
            dependencies: None,
            image_layer: None,
            code: String::new(),
            handler: String::new(),
            timeout_ms: 0,
            schema: Schemas::default(),
            secrets: Vec::new(),
            services: Vec::new(),
        })
    }

    #[test]
    fn a_function_is_built_when_it_or_its_image_is_new_and_waits_with_a_reason() {
        let ready =
            |base| Status { observed_generation: 1, deployed: deployed(base), ..Status::default() };
        let build = |base: &str| Step::Build(built_on(base));
        let check = |status: Status, image: Option<&Object<Image>>, projected, expect: Step| {
            assert_eq!(plan(&function(status), image, projected, false), expect);
        };
        let wait = |text: &str| Step::Wait(text.to_owned());
        check(Status::default(), Some(&image(Some("a"))), false, build("a"));
        check(Status::default(), Some(&image(None)), false, wait("its image x is INITIALIZED"));
        let mut broken = image(None);
        broken.status.failure = Some("no such package".to_owned());
        let why = wait("its image x failed: no such package");
        check(Status::default(), Some(&broken), false, why);
        check(Status::default(), None, false, wait("its image python3 does not exist"));
        check(ready("a"), Some(&image(Some("a"))), false, Step::Project);
        check(ready("a"), Some(&image(Some("a"))), true, Step::Rest);
        check(ready("a"), Some(&image(Some("b"))), true, build("b"));
        check(ready("a"), None, true, Step::Rest);
        let lost = plan(&function(ready("a")), Some(&image(Some("a"))), true, true);
        assert_eq!(lost, build("a"));
        let failed = |deployed| Status {
            observed_generation: 1,
            failure: Some("no".to_owned()),
            deployed,
            failed_on: None,
        };
        check(failed(None), Some(&image(Some("a"))), false, Step::Rest);
        check(failed(deployed("a")), Some(&image(Some("a"))), false, Step::Project);
        check(failed(deployed("a")), Some(&image(Some("b"))), true, build("b"));
        let mut hopeless = failed(deployed("a"));
        hopeless.failed_on = Some(built_on("b"));
        check(hopeless, Some(&image(Some("b"))), true, Step::Rest);
    }
}
