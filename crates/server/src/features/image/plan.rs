//! What an image needs next. Pure.

use dispatch_model::{
    Object, Phase,
    base_image::{self, BaseImage, Proof},
    image::Image,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Build on this.
    Build(Proof),
    /// Nothing can be built yet: why. The base image's controller wakes us.
    Wait(String),
    /// Nothing can be built until somebody acts: why.
    Fail(String),
    Rest,
}

/// `layer_lost`: layers are a cache, and this one's is gone (decision 17).
pub(super) fn plan(
    image: &Object<Image>,
    base: Option<&Object<BaseImage>>,
    layer_lost: bool,
) -> Step {
    let status = &image.status;
    let observed = status.observed_generation == image.meta.generation;
    let rests = |reason: &String| observed && status.failure.as_ref() == Some(reason);
    let fail = |reason: String| if rests(&reason) { Step::Rest } else { Step::Fail(reason) };
    // What has been built, or has failed to, stays as it is while there is nothing to build on.
    let settled = observed && (status.failure.is_none() || status.failed_on.is_some());
    let Some(base) = base else {
        let reason = format!("its base image {} is gone", image.spec.base_image_name);
        return if settled { Step::Rest } else { fail(reason) };
    };
    match (base_image::phase(base), &base.status.proof) {
        ((Phase::Ready, _), Some(proof)) => {
            let built = status.built.as_ref();
            let fits = !layer_lost && built.is_some_and(|built| built.base_digest == proof.digest);
            let tried = status.failed_on.as_ref() == Some(&proof.digest);
            let done = observed && (tried || (fits && status.failure.is_none()));
            if done { Step::Rest } else { Step::Build(proof.clone()) }
        }
        _ if settled => Step::Rest,
        ((Phase::Error, reason), _) => {
            let reason = reason.unwrap_or_default();
            fail(format!("its base image {} failed: {reason}", base.meta.name))
        }
        ((phase, _), _) => {
            Step::Wait(format!("its base image {} is {}", base.meta.name, phase.as_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use dispatch_model::{
        Id, Tags,
        image::{self, Built, Status},
        object::Meta,
    };
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn meta<K>() -> Meta<K> {
        let name = "base".parse().unwrap();
        Meta::new(
            Id::from_uuid(Uuid::nil()),
            Id::from_uuid(Uuid::nil()),
            name,
            Timestamp::UNIX_EPOCH,
            Tags::new(),
        )
    }

    fn built_on(digest: &str) -> Built {
        Built { runtime: "python3".to_owned(), layer: None, base_digest: digest.to_owned() }
    }

    fn proof(digest: &str) -> Proof {
        let (runtime, version) = ("python3".to_owned(), "3".to_owned());
        Proof { runtime, version, digest: digest.to_owned() }
    }

    fn base(observed: u64, digest: Option<&str>, failure: Option<&str>) -> Object<BaseImage> {
        let spec =
            base_image::Spec { docker_url: String::new(), language: String::new(), delay_ms: 0 };
        let status = base_image::Status {
            observed_generation: observed,
            proof: digest.map(proof),
            failure: failure.map(str::to_owned),
        };
        Object { meta: meta(), spec, status }
    }

    fn image(
        observed: u64,
        built: Option<&str>,
        failure: Option<&str>,
        failed_on: Option<&str>,
    ) -> Object<Image> {
        let spec = image::Spec {
            base_image: Id::from_uuid(Uuid::nil()),
            base_image_name: "base".parse().unwrap(),
            language: String::new(),
            manifest: String::new(),
            system_packages: Vec::new(),
        };
        let status = Status {
            observed_generation: observed,
            built: built.map(built_on),
            failure: failure.map(str::to_owned),
            failed_on: failed_on.map(str::to_owned),
            log: Vec::new(),
        };
        Object { meta: meta(), spec, status }
    }

    const NEW: (u64, Option<&str>, Option<&str>, Option<&str>) = (0, None, None, None);

    fn check(
        (observed, built, failure, failed_on): (u64, Option<&str>, Option<&str>, Option<&str>),
        base: Option<Object<BaseImage>>,
        expect: Step,
    ) {
        let image = image(observed, built, failure, failed_on);
        assert_eq!(plan(&image, base.as_ref(), false), expect, "{:?} on {base:?}", image.status);
    }

    #[test]
    fn a_new_image_is_built_waits_or_fails_with_its_base() {
        let gone = "its base image base is gone";
        let failed = "its base image base failed: no python";
        check(NEW, Some(base(1, Some("a"), None)), Step::Build(proof("a")));
        check(
            NEW,
            Some(base(0, None, None)),
            Step::Wait("its base image base is INITIALIZED".into()),
        );
        check(NEW, Some(base(1, None, Some("no python"))), Step::Fail(failed.into()));
        check(NEW, Some(base(1, Some("a"), Some("no python"))), Step::Fail(failed.into()));
        check(NEW, None, Step::Fail(gone.into()));
        // Told once, and built as soon as the base is there.
        let told = (1, None, Some(failed), None);
        check(told, Some(base(1, None, Some("no python"))), Step::Rest);
        check(told, Some(base(1, Some("a"), None)), Step::Build(proof("a")));
        check((1, None, Some(gone), None), None, Step::Rest);
    }

    #[test]
    fn a_built_image_is_built_again_only_for_another_interpreter_and_once() {
        let built = (1, Some("a"), None, None);
        check(built, Some(base(1, Some("a"), None)), Step::Rest);
        check(built, Some(base(1, Some("b"), None)), Step::Build(proof("b")));
        check(built, Some(base(1, Some("a"), Some("no python"))), Step::Rest);
        check(built, Some(base(0, Some("a"), None)), Step::Rest);
        check(built, None, Step::Rest);
        check((1, Some("a"), Some("no"), Some("b")), Some(base(1, Some("b"), None)), Step::Rest);
        check(
            (1, Some("a"), Some("no"), Some("b")),
            Some(base(1, Some("c"), None)),
            Step::Build(proof("c")),
        );
        check((1, None, Some("no"), Some("a")), Some(base(1, Some("a"), None)), Step::Rest);
        check((0, Some("a"), None, None), Some(base(1, Some("a"), None)), Step::Build(proof("a")));
    }

    #[test]
    fn a_lost_layer_is_made_again() {
        let built = image(1, Some("a"), None, None);
        let on = base(1, Some("a"), None);
        assert_eq!(plan(&built, Some(&on), true), Step::Build(proof("a")));
        let failed = image(1, Some("a"), Some("no"), Some("a"));
        assert_eq!(plan(&failed, Some(&on), true), Step::Rest, "and once");
    }
}
