//! The controller of images: waits for the base image, builds, and wakes the functions that stand on it.

use std::sync::Weak;

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{
    Id, Kind, Object,
    base_image::Proof,
    function::Function,
    image::{Built, Image},
};
use dispatch_store::Batch;

use super::{
    build,
    plan::{Step, plan},
};
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
            image.status.failed_on = image.status.built.as_ref().map(|b| b.base_digest.clone());
            image.status.observed_generation = image.meta.generation;
        })
        .await;
    }
}

async fn step(platform: &Platform, id: Id<Image>) -> Result<Next, Trouble> {
    // From before the image is read: no change of it is missed while it is built.
    let changes = platform.store.watch();
    let Some(mut image) = controller::load::<Image>(platform, id).await? else {
        return Ok(Next::Done);
    };
    let base = controller::load(platform, image.spec.base_image).await?;
    match plan(&image, base.as_ref(), layer_lost(platform, &image)) {
        Step::Rest => Ok(Next::Done),
        Step::Wait(reason) => {
            if image.status.failure.as_ref() != Some(&reason) {
                image.status.failure = Some(reason);
                let batch = Batch::system("waits for its base image").update_status(&image);
                platform.store.commit(batch).await?;
            }
            Ok(Next::Done)
        }
        Step::Fail(reason) => {
            image.status.observed_generation = image.meta.generation;
            image.status.failure = Some(reason);
            image.status.failed_on = None;
            save(platform, &image).await
        }
        Step::Build(proof) => {
            let (outcome, log) = tokio::select! {
                done = build::build(platform, &image, &proof) => done,
                // Other dependencies are wished for, or none any more: this build is of no use.
                () = controller::overtaken(platform, &image, changes) => return Ok(Next::Again),
                // It is built at the next start.
                () = platform.stopping.cancelled() => return Ok(Next::Done),
            };
            // Held until the image that refers to it is stored.
            let (outcome, _held) = match outcome {
                Ok(made) => (Ok(made.built), made.held),
                Err(reason) => (Err(reason), None),
            };
            absorb(&mut image, outcome, log, proof);
            save(platform, &image).await
        }
    }
}

fn absorb(
    image: &mut Object<Image>,
    outcome: Result<Built, String>,
    log: Vec<String>,
    proof: Proof,
) {
    let status = &mut image.status;
    status.observed_generation = image.meta.generation;
    status.log = log;
    match outcome {
        Ok(built) => {
            status.built = Some(built);
            status.failure = None;
            status.failed_on = None;
        }
        Err(reason) => {
            status.failure = Some(reason);
            status.failed_on = Some(proof.digest);
        }
    }
}

async fn save(platform: &Platform, image: &Object<Image>) -> Result<Next, Trouble> {
    platform.store.commit(Batch::system("image built").update_status(image)).await?;
    let id = image.meta.id.uuid();
    for user in platform.store.list_referring::<Function>(&platform.system, id).await? {
        platform.wakers.wake(Kind::Function, user.meta().id.uuid());
    }
    Ok(Next::Done)
}

fn layer_lost(platform: &Platform, image: &Object<Image>) -> bool {
    let layer = image.status.built.as_ref().and_then(|built| built.layer.as_ref());
    let layers = platform.workers.builder.layers();
    layer.is_some_and(|layer| layer.parse().is_ok_and(|digest| !layers.path(digest).exists()))
}
