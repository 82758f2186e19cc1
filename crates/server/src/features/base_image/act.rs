//! The controller of base images: proves each once, and again when the machine's interpreter has changed.

use std::{sync::Weak, time::Duration};

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{Id, Kind, Object, base_image::BaseImage, image::Image};
use dispatch_store::Batch;

use super::proof;
use crate::{
    controller::{self, Trouble},
    platform::Platform,
    time,
};

/// How often the machine is looked at for another interpreter.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub struct Controller(pub Weak<Platform>);

#[async_trait]
impl Reconciler for Controller {
    fn name(&self) -> &'static str {
        "base_image"
    }

    async fn keys(&self) -> Result<Vec<Key>, Box<dyn std::error::Error + Send + Sync>> {
        controller::keys::<BaseImage>(&self.0).await
    }

    async fn reconcile(&self, key: Key) -> Next {
        let Some(platform) = self.0.upgrade() else { return Next::Done };
        controller::next(self.name(), key, step(&platform, Id::from_uuid(key.0)).await)
    }

    async fn panicked(&self, key: Key, message: &str) {
        controller::panicked::<BaseImage>(&self.0, key, message, |base, words| {
            base.status.failure = Some(words);
            base.status.observed_generation = base.meta.generation;
        })
        .await;
    }
}

async fn step(platform: &Platform, id: Id<BaseImage>) -> Result<Next, Trouble> {
    let Some(base) = controller::load::<BaseImage>(platform, id).await? else {
        return Ok(Next::Done);
    };
    let now = platform.clock.now();
    let begin = time::after(base.meta.modified, Duration::from_millis(base.spec.delay_ms));
    let observed = base.status.observed_generation == base.meta.generation;
    if !observed && begin > now {
        return Ok(Next::At(begin));
    }
    if observed && !has_changed(platform, &base).await {
        return Ok(Next::At(time::after(now, LOOK_AGAIN)));
    }
    let proved = proof::prove(platform, base.meta.organization.uuid(), &base.spec.docker_url).await;
    save(platform, base, proved).await
}

/// The machine's interpreter is another one than was proved.
async fn has_changed(platform: &Platform, base: &Object<BaseImage>) -> bool {
    let Some(proof) = &base.status.proof else { return false };
    platform.workers.python3().await.is_ok_and(|now| now.digest != proof.digest)
}

async fn save(
    platform: &Platform,
    mut base: Object<BaseImage>,
    proved: Result<dispatch_model::base_image::Proof, String>,
) -> Result<Next, Trouble> {
    let id = base.meta.id.uuid();
    base.status.observed_generation = base.meta.generation;
    match proved {
        Ok(proof) => {
            base.status.proof = Some(proof);
            base.status.failure = None;
        }
        Err(reason) => base.status.failure = Some(reason),
    }
    let batch = Batch::system("base image proved").update_status(&base);
    platform.store.commit(batch).await?;
    for image in platform.store.list_referring::<Image>(&platform.system, id).await? {
        platform.wakers.wake(Kind::Image, image.meta().id.uuid());
    }
    Ok(Next::Again)
}
