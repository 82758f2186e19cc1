//! The controller of images: waits for the base image, builds, and wakes the functions that stand on it.

use std::sync::Weak;

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{
    Id, Kind, Object,
    base_image::{self, BaseImage, Proof},
    function::Function,
    image::Image,
};
use dispatch_store::Batch;

use super::build;
use crate::{
    controller::{self, Trouble},
    platform::Platform,
};

#[derive(Debug)]
pub struct Controller(pub Weak<Platform>);

#[async_trait]
impl Reconciler for Controller {
    fn name(&self) -> &'static str {
        "image"
    }

    async fn keys(&self) -> Result<Vec<Key>, Box<dyn std::error::Error + Send + Sync>> {
        controller::keys::<Image>(&self.0).await
    }

    async fn reconcile(&self, key: Key) -> Next {
        let Some(platform) = self.0.upgrade() else { return Next::Done };
        controller::next(self.name(), key, step(&platform, Id::from_uuid(key.0)).await)
    }

    async fn panicked(&self, key: Key, message: &str) {
        controller::panicked::<Image>(&self.0, key, message, |image, words| {
            image.status.failure = Some(words);
            image.status.observed_generation = image.meta.generation;
        })
        .await;
    }
}

/// What there is to do. Pure.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Build(Proof),
    /// Nothing can be built now: why. The base image's controller wakes us.
    Wait(String),
    Rest,
}

fn plan(image: &Object<Image>, base: Option<&Object<BaseImage>>) -> Step {
    let status = &image.status;
    let observed = status.observed_generation == image.meta.generation;
    let proof = base.and_then(|base| {
        let usable = base.status.failure.is_none();
        base.status.proof.as_ref().filter(|_| usable)
    });
    let stale = match (&status.built, proof) {
        (Some(built), Some(proof)) => built.base_digest != proof.digest,
        _ => false,
    };
    if observed && !stale {
        return Step::Rest;
    }
    match (base, proof) {
        (_, Some(proof)) => Step::Build(proof.clone()),
        _ if observed => Step::Rest,
        (None, _) => Step::Wait(format!("its base image {} is gone", image.spec.base_image_name)),
        (Some(base), None) => {
            let (phase, _) = base_image::phase(base);
            Step::Wait(format!("its base image {} is {}", base.meta.name, phase.as_str()))
        }
    }
}

async fn step(platform: &Platform, id: Id<Image>) -> Result<Next, Trouble> {
    let Some(mut image) = controller::load::<Image>(platform, id).await? else {
        return Ok(Next::Done);
    };
    let base = controller::load(platform, image.spec.base_image).await?;
    let proof = match plan(&image, base.as_ref()) {
        Step::Rest => return Ok(Next::Done),
        Step::Wait(reason) => {
            if image.status.failure.as_ref() != Some(&reason) {
                image.status.failure = Some(reason);
                let batch = Batch::system("waits for its base image").update_status(&image);
                platform.store.commit(batch).await?;
            }
            return Ok(Next::Done);
        }
        Step::Build(proof) => proof,
    };
    let (outcome, log) = build::build(platform, &image, &proof).await;
    // The wish may have changed while it was built: then this is not what it asks for any more.
    let Some(now) = controller::load::<Image>(platform, id).await? else {
        return Ok(Next::Done);
    };
    if now.meta.generation != image.meta.generation {
        return Ok(Next::Again);
    }
    image = now;
    image.status.observed_generation = image.meta.generation;
    image.status.log = log;
    match outcome {
        Ok(built) => {
            image.status.built = Some(built);
            image.status.failure = None;
        }
        Err(reason) => image.status.failure = Some(reason),
    }
    platform.store.commit(Batch::system("image built").update_status(&image)).await?;
    for user in platform.store.list_referring::<Function>(&platform.system, id.uuid()).await? {
        platform.wakers.wake(Kind::Function, user.meta().id.uuid());
    }
    Ok(Next::Again)
}
