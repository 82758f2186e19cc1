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
    let Ok(language) = proof::language(&base.spec.docker_url) else { return false };
    match (&base.status.failure, &base.status.proof) {
        (None, Some(proof)) => {
            let now = platform.workers.host(language).await;
            now.map_or(true, |now| now.interpreter.digest != proof.digest)
        }
        _ => true,
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use dispatch_runtime::spawn::{DirectSpawner, Spawn, SpawnError, Spawned, WorkerSpec};
    use futures::future::BoxFuture;
    use serde_json::json;

    use super::*;
    use crate::testing::{TestServer, World};

    /// A rescan comes within this time.
    const RESCAN: Duration = Duration::from_secs(300);

    /// A machine that cannot start anything until somebody mends it.
    #[derive(Debug, Default)]
    struct Broken(AtomicBool);

    impl Spawn for Broken {
        fn spawn(&self, spec: WorkerSpec) -> BoxFuture<'_, Result<Spawned, SpawnError>> {
            if self.0.load(Ordering::SeqCst) {
                return DirectSpawner.spawn(spec);
            }
            Box::pin(async { Err(SpawnError::Refused { reason: "it is broken".to_owned() }) })
        }
    }

    async fn image_on_base(server: &TestServer) {
        let base = json!({"name": "b", "dockerUrl": "host:python3", "language": "x"});
        assert_eq!(server.post("/v1/baseimage?wait=60", &base).await.status, 201);
        let image = json!({"name": "i", "baseImageName": "b"});
        assert_eq!(server.post("/v1/image?wait=60", &image).await.status, 201);
    }

    #[tokio::test]
    async fn a_machine_that_has_been_mended_is_noticed_and_its_images_recover() {
        let (mut world, machine) = (World::new(), Arc::new(Broken::default()));
        world.spawner = Some(Arc::clone(&machine) as _);
        let server = TestServer::start_in(world).await;
        image_on_base(&server).await;
        let base = server.get("/v1/baseimage/b").await.body;
        assert_eq!(base["status"], "ERROR");
        let reason = base["reason"][0].as_str().unwrap();
        assert!(reason.ends_with("it is broken") && base["reason"][1].is_null(), "{reason}");
        let image = server.get("/v1/image/i").await.body;
        let expect = format!("its base image b failed: {reason}");
        assert_eq!((&image["status"], &image["reason"]), (&json!("ERROR"), &json!([expect])));

        machine.0.store(true, Ordering::SeqCst);
        server.world.clock.advance(RESCAN);
        server.becomes("/v1/baseimage/b", "READY").await;
        server.becomes("/v1/image/i", "READY").await;
        server.finish().await;
    }

    #[tokio::test]
    async fn another_interpreter_on_the_machine_is_proved_and_images_are_built_on_it() {
        let server = TestServer::start().await;
        image_on_base(&server).await;
        let platform = Arc::clone(server.running.platform());
        let stored = platform.store.list::<BaseImage>(&platform.system).await.unwrap();
        let mut base = stored.into_iter().next().unwrap().readable().unwrap();
        let real = base.status.proof.clone().unwrap();
        let mut proof = real.clone();
        proof.digest = "of the one before".to_owned();
        base.status.proof = Some(proof);
        let batch = Batch::system("the test").update_status(&base);
        platform.store.commit(batch).await.unwrap();
        let digests = async || {
            let images = platform.store.list::<Image>(&platform.system).await.unwrap();
            let image = images.into_iter().next().unwrap().readable().unwrap();
            let base = controller::load(&platform, base.meta.id).await.unwrap().unwrap();
            let proved = base.status.proof.unwrap().digest;
            (proved, image.status.built.unwrap().base_digest, image.status.observed_generation)
        };
        // The image is built on that one first.
        wake_images(&platform, base.meta.id).await.unwrap();
        server.quiet().await;
        let before = "of the one before".to_owned();
        assert_eq!(digests().await, (before.clone(), before, 1));

        server.world.clock.advance(RESCAN);
        let expect = (real.digest.clone(), real.digest, 1);
        let begun = std::time::Instant::now();
        while digests().await != expect {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", digests().await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.quiet().await;
        assert_eq!(server.get("/v1/image/i").await.body["status"], "READY");
        drop(platform);
        server.finish().await;
    }

    #[tokio::test]
    async fn looking_again_at_what_has_not_changed_writes_nothing() {
        let server = TestServer::start().await;
        image_on_base(&server).await;
        server.quiet().await;
        let platform = Arc::clone(server.running.platform());
        let runs = || {
            platform
                .wakers
                .all()
                .map(|(_, w)| w.counters().runs.load(Ordering::Relaxed))
                .sum::<u64>()
        };
        let (commits, before) = (platform.store.counters().commits, runs());
        server.world.clock.advance(RESCAN);
        let begun = std::time::Instant::now();
        while runs() < before + 2 {
            assert!(begun.elapsed() < Duration::from_secs(60), "no rescan");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.quiet().await;
        assert_eq!(platform.store.counters().commits, commits);
        let lost = |(_, w): (Kind, &dispatch_engine::Waker)| {
            w.counters().lost_wakeups.load(Ordering::Relaxed)
        };
        assert_eq!(platform.wakers.all().map(lost).sum::<u64>(), 0);
        drop(platform);
        server.finish().await;
    }
}
