//! The controller of base images: proves each once, and again when the machine's interpreter has changed. Nobody wakes
//! it for that: at the start and at every rescan it looks.

use std::{sync::Weak, time::Duration};

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{
    Id, Kind, Object,
    base_image::{BaseImage, Proof},
    image::Image,
};
use dispatch_store::Batch;

use super::proof;
use crate::{
    controller::{self, Trouble},
    platform::Platform,
    time,
};

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
    let Some(mut base) = controller::load::<BaseImage>(platform, id).await? else {
        return Ok(Next::Done);
    };
    if base.status.observed_generation == base.meta.generation {
        if !is_due_again(platform, &base).await {
            return Ok(Next::Done);
        }
    } else {
        let delay = Duration::from_millis(base.spec.delay_ms);
        let begin = time::after(base.meta.modified, delay);
        if begin > platform.clock.now() {
            return Ok(Next::At(begin));
        }
    }
    let organization = base.meta.organization.uuid();
    let proved = tokio::select! {
        proved = proof::prove(platform, organization, &base.spec.docker_url) => proved,
        // It is proved at the next start.
        () = platform.stopping.cancelled() => return Ok(Next::Done),
    };
    let before = base.status.clone();
    absorb(&mut base, proved);
    if base.status == before {
        return Ok(Next::Done);
    }
    platform.store.commit(Batch::system("base image proved").update_status(&base)).await?;
    wake_images(platform, id).await?;
    Ok(Next::Done)
}

/// What was proved is not what the machine has now; or what failed may succeed now, because somebody has installed
/// what was missing.
async fn is_due_again(platform: &Platform, base: &Object<BaseImage>) -> bool {
    match (&base.status.failure, &base.status.proof) {
        (None, Some(proof)) => {
            platform.workers.python3().await.map_or(true, |now| now.digest != proof.digest)
        }
        _ => proof::runtime(&base.spec.docker_url).is_ok(),
    }
}

fn absorb(base: &mut Object<BaseImage>, proved: Result<Proof, String>) {
    base.status.observed_generation = base.meta.generation;
    match proved {
        Ok(proof) => {
            base.status.proof = Some(proof);
            base.status.failure = None;
        }
        Err(reason) => base.status.failure = Some(reason),
    }
}

/// Images that stand on it look again.
async fn wake_images(platform: &Platform, id: Id<BaseImage>) -> Result<(), Trouble> {
    let images = platform.store.list_referring::<Image>(&platform.system, id.uuid()).await?;
    for image in images {
        platform.wakers.wake(Kind::Image, image.meta().id.uuid());
    }
    Ok(())
}
