//! The job that turns a function's source into a revision that is known to load: unpack, then import it in the full
//! sandbox. A crash means run again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dispatch_model::{
    Object,
    function::{Deployed, Function},
    image::Built,
};
use dispatch_runtime::{
    build::SourceBuild,
    host::Language,
    layer::{Digest, Held},
    logs::FunctionLog,
    revision::Revision,
    worker::{Interpreter, Start, StartError},
};
use dispatch_store::ReadError;

use super::project;
use crate::platform::Platform;

/// From the start of a process to its function being loaded.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A revision that loads, and its layers, held until it is stored.
    Made(Box<Deployed>, Vec<Held>),
    /// The one reason, for people.
    Failed(String),
    /// Of the image there is no layer on this disk: it has to be made first.
    ImageLost,
}

pub(super) async fn build(
    platform: &Platform,
    function: &Object<Function>,
    image: Built,
) -> Result<Outcome, ReadError> {
    let failed = |reason: String| Ok(Outcome::Failed(reason));
    let source = match function.spec.source.parse() {
        Ok(digest) => platform.store.blob(&digest).await?,
        Err(_) => None,
    };
    let Some(source) = source else {
        return failed("its source is lost; update it".to_owned());
    };
    let Some(language) = Language::parse(&image.runtime) else {
        return failed(format!(
            "its image is for {}, which this version does not have",
            image.runtime
        ));
    };
    let interpreter = match platform.workers.host(language).await {
        Ok(host) => host.interpreter,
        Err(error) => return failed(error.to_string()),
    };
    let mut held = match hold(platform, image.layer.as_deref()) {
        Ok(held) => Vec::from_iter(held),
        Err(Lost) => return Ok(Outcome::ImageLost),
    };
    let unpack = SourceBuild {
        organization: function.meta.organization.uuid(),
        archive: Bytes::from(source),
        base: interpreter.base(),
    };
    let code = match platform.workers.builder.unpack(unpack).await {
        Ok(built) => built.layer,
        Err(error) => return failed(error.reason()),
    };
    let spec = &function.spec;
    let deployed = Deployed {
        faas_id: spec.faas_id,
        runtime: image.runtime,
        base_digest: image.base_digest,
        dependencies: image.layer,
        code: code.digest().to_string(),
        handler: spec.handler.clone(),
        timeout_ms: spec.timeout_ms,
        schema: spec.schema.clone(),
        secrets: spec.secrets.clone(),
        services: spec.services.clone(),
    };
    held.push(code);
    let organization = function.meta.organization;
    let Some(organization_name) = project::organization_name(platform, organization).await? else {
        return failed("its organization does not exist any more".to_owned());
    };
    let whose = project::Whose {
        organization,
        organization_name: &organization_name,
        function: &function.meta.name,
    };
    let revision = project::revision(platform, whose, &deployed, Vec::new(), Vec::new()).await;
    let revision = match revision {
        Ok(revision) => revision,
        Err(reason) => return failed(reason),
    };
    Ok(match prove(platform, &revision).await {
        Ok(()) => Outcome::Made(Box::new(deployed), held),
        Err(reason) => Outcome::Failed(reason),
    })
}

/// A layer that is not on this disk.
struct Lost;

fn hold(platform: &Platform, layer: Option<&str>) -> Result<Option<Held>, Lost> {
    let Some(layer) = layer else { return Ok(None) };
    let layer: Digest = layer.parse().map_err(|_| Lost)?;
    platform.workers.builder.layers().hold(layer).map(Some).ok_or(Lost)
}

/// Loads it once, without services: an import that fails is told now and not at the first call.
async fn prove(platform: &Platform, revision: &Revision) -> Result<(), String> {
    let log = Arc::new(FunctionLog::default());
    let start = Start {
        spawner: platform.workers.spawner.as_ref(),
        ambient: platform.workers.ambient,
        log: Arc::clone(&log),
        grace: GRACE,
        on_exit: Box::new(|_| {}),
    };
    let worker = revision.worker_spec(platform.entropy.uuid());
    let load = &revision.spec().load;
    let proving = async {
        let interpreter = Interpreter::start(start, worker).await?;
        interpreter.load(load, log).await
    };
    match tokio::time::timeout(LOAD_TIMEOUT, proving).await {
        Ok(Ok(worker)) => {
            worker.kill();
            Ok(())
        }
        Ok(Err(StartError::Load(failure))) => Err(failure.message),
        Ok(Err(error)) => Err(error.reason()),
        Err(_) => Err(format!("importing it took longer than {} s", LOAD_TIMEOUT.as_secs())),
    }
}
