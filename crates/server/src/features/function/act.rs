//! The controller of functions: builds what is wished for, and keeps what calls use up to date with what is deployed.

use std::sync::Weak;

use async_trait::async_trait;
use dispatch_engine::{Key, Next, Reconciler};
use dispatch_model::{
    Id, Kind, Object,
    function::{Deployed, Function},
    image::{Built, Image},
};
use dispatch_store::{Batch, CommitError};

use super::{
    build::{self, Outcome},
    plan::{Step, plan},
    project,
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
        "function"
    }

    async fn keys(&self) -> Result<Vec<Key>, Box<dyn std::error::Error + Send + Sync>> {
        controller::keys::<Function>(&self.0).await
    }

    async fn reconcile(&self, key: Key) -> Next {
        let Some(platform) = self.0.upgrade() else { return Next::Done };
        controller::next(self.name(), key, step(&platform, Id::from_uuid(key.0)).await)
    }

    async fn panicked(&self, key: Key, message: &str) {
        controller::panicked::<Function>(&self.0, key, message, |function, words| {
            function.status.failure = Some(words);
            function.status.observed_generation = function.meta.generation;
        })
        .await;
    }
}

async fn step(platform: &Platform, id: Id<Function>) -> Result<Next, Trouble> {
    // From before the function is read: no change of it is missed while it is built.
    let changes = platform.store.watch();
    let Some(function) = controller::load::<Function>(platform, id).await? else {
        leave_service(platform, id);
        return Ok(Next::Done);
    };
    let image = controller::load::<Image>(platform, function.spec.image).await?;
    let deployed = function.status.deployed.as_ref();
    let projected = platform
        .functions
        .get(function.meta.organization, &function.meta.name)
        .is_some_and(|now| now.id == id && Some(&now.deployed) == deployed);
    let layers_lost = deployed.is_some_and(|deployed| project::layers_lost(platform, deployed));
    match plan(&function, image.as_ref(), projected, layers_lost) {
        Step::Rest => Ok(Next::Done),
        Step::Forget => forget(platform, &function).await,
        Step::Wait(reason) => wait(platform, function, reason).await,
        Step::Project => {
            let _turn = platform.functions.turn(id).await;
            if let Some(deployed) = deployed
                && let Err(reason) = project::project(platform, &function, deployed).await?
            {
                tracing::warn!(function = %function.meta.name, reason, "cannot be put into service");
                return Ok(Next::Backoff);
            }
            Ok(Next::Done)
        }
        Step::Build(built) => {
            let Some(image) = image else { return Ok(Next::Again) };
            let outcome = tokio::select! {
                done = build::build(platform, &function, &image, built.clone()) => done?,
                // Something else is wished for, or nothing any more: this build is of no use.
                () = controller::overtaken(platform, &function, changes) => {
                    return Ok(Next::Again);
                }
                // It is built at the next start.
                () = platform.stopping.cancelled() => return Ok(Next::Done),
            };
            match outcome {
                Outcome::Made(deployed, _held) => save(platform, function, Ok(*deployed)).await,
                Outcome::Failed(reason) => save(platform, function, Err((reason, built))).await,
                Outcome::ImageLost => image_lost(platform, function, image).await,
            }
        }
    }
}

/// Says what is waited for, once.
async fn wait(
    platform: &Platform,
    mut function: Object<Function>,
    reason: String,
) -> Result<Next, Trouble> {
    if function.status.failure.as_ref() != Some(&reason) {
        function.status.failure = Some(reason);
        let batch = Batch::system("waits for its image").update_status(&function);
        platform.store.commit(batch).await?;
    }
    Ok(Next::Done)
}

/// Layers are a cache: its image makes it again, and wakes us. If that has failed, we say so.
async fn image_lost(
    platform: &Platform,
    function: Object<Function>,
    image: Object<Image>,
) -> Result<Next, Trouble> {
    platform.wakers.wake(Kind::Image, image.meta.id.uuid());
    match image.status.failure {
        Some(reason) => {
            let name = image.meta.name;
            wait(platform, function, format!("its image {name} cannot be made again: {reason}"))
                .await
        }
        None => Ok(Next::Done),
    }
}

/// Saves what a build made (`Err`: why not, and on which image).
async fn save(
    platform: &Platform,
    mut function: Object<Function>,
    outcome: Result<Deployed, (String, Built)>,
) -> Result<Next, Trouble> {
    // In service and READY are one step for everybody who brings functions up to date.
    let _turn = platform.functions.turn(function.meta.id).await;
    // The wish may have changed while it was built: then this is not what it asks for any more.
    let Some(now) = controller::load::<Function>(platform, function.meta.id).await? else {
        return Ok(Next::Done);
    };
    if now.meta.generation != function.meta.generation {
        return Ok(Next::Again);
    }
    function = now;
    function.status.observed_generation = function.meta.generation;
    match outcome {
        Ok(deployed) => {
            function.status.failure = None;
            function.status.failed_on = None;
            function.status.deployed = Some(deployed.clone());
            // In service before READY says so.
            if let Err(reason) = project::project(platform, &function, &deployed).await? {
                function.status.failure = Some(reason);
            }
        }
        Err((reason, image)) => {
            function.status.failure = Some(reason);
            function.status.failed_on = Some(image);
        }
    }
    let batch = Batch::system("function built").update_status(&function);
    platform.store.commit(batch).await?;
    Ok(Next::Again)
}

async fn forget(platform: &Platform, function: &Object<Function>) -> Result<Next, Trouble> {
    let _turn = platform.functions.turn(function.meta.id).await;
    leave_service(platform, function.meta.id);
    match platform.store.commit(Batch::system("function deleted").delete(function)).await {
        Ok(_) | Err(CommitError::Gone { .. }) => Ok(Next::Done),
        Err(error) => Err(error.into()),
    }
}

fn leave_service(platform: &Platform, id: Id<Function>) {
    platform.functions.remove(id);
    platform.workers.pools.remove(id.uuid());
}
