//! The job that turns a function's source into a revision that is known to load: unpack, then import it in the full
//! sandbox. A crash means run again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dispatch_model::{
    Object,
    function::{Deployed, Function},
    image::{Built, Image},
};
use dispatch_runtime::{
    build::SourceBuild,
    host::{self, Language},
    layer::{Digest, Held},
    logs::FunctionLog,
    revision::Revision,
    worker::{Interpreter, Start, StartError},
};
use dispatch_store::ReadError;

use uuid::Uuid;

use super::project;
use crate::{packages::manifest, platform::Platform};

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
    image: &Object<Image>,
    built: Built,
) -> Result<Outcome, ReadError> {
    let failed = |reason: String| Ok(Outcome::Failed(reason));
    let source = match function.spec.source.parse() {
        Ok(digest) => platform.store.blob(&digest).await?,
        Err(_) => None,
    };
    let Some(source) = source else {
        return failed("its source is lost; update it".to_owned());
    };
    let Some(language) = Language::parse(&built.runtime) else {
        return failed(format!(
            "its image is for {}, which this version does not have",
            built.runtime
        ));
    };
    let interpreter = match platform.workers.host(language).await {
        Ok(host) => host.interpreter,
        Err(error) => return failed(error.to_string()),
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
    let whole = Whole { organization: function.meta.organization.uuid(), image, built: &built };
    let packages = match whole.packages(platform, &interpreter, &code).await {
        Ok(packages) => packages,
        Err(Trouble::ImageLost) => return Ok(Outcome::ImageLost),
        Err(Trouble::Words(reason)) => return failed(reason),
    };
    let spec = &function.spec;
    let deployed = Deployed {
        faas_id: spec.faas_id,
        runtime: built.runtime,
        base_digest: built.base_digest,
        dependencies: packages.as_ref().map(|layer| layer.digest().to_string()),
        image_layer: built.layer,
        code: code.digest().to_string(),
        handler: spec.handler.clone(),
        timeout_ms: spec.timeout_ms,
        schema: spec.schema.clone(),
        secrets: spec.secrets.clone(),
        services: spec.services.clone(),
    };
    let held = packages.into_iter().chain([code]).collect();
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

/// Why there is no layer with the packages.
enum Trouble {
    /// The image's is not on this disk.
    ImageLost,
    Words(String),
}

/// What a function's packages come from, besides its source.
struct Whole<'a> {
    organization: Uuid,
    image: &'a Object<Image>,
    built: &'a Built,
}

impl Whole<'_> {
    /// The image's layer; where the source names packages itself, one with those of both.
    async fn packages(
        &self,
        platform: &Platform,
        interpreter: &host::Interpreter,
        code: &Held,
    ) -> Result<Option<Held>, Trouble> {
        let workers = &platform.workers;
        let language = interpreter.language;
        let place = workers.builder.layers().path(code.digest());
        let read = tokio::task::spawn_blocking(move || manifest::of_source(&place, language));
        let own = match read.await {
            Ok(own) => own.map_err(Trouble::Words)?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let of_image = &self.image.spec.manifest;
        let merged = own.map(|own| manifest::merged(language, of_image, &own)).transpose();
        if let Some(merged) = merged.map_err(Trouble::Words)?.flatten() {
            let (installed, _) = workers.install(self.organization, interpreter, &merged).await;
            return installed.map(Some).map_err(Trouble::Words);
        }
        let Some(layer) = &self.built.layer else { return Ok(None) };
        let layer: Digest = layer.parse().map_err(|_| Trouble::ImageLost)?;
        workers.builder.layers().hold(layer).map(Some).ok_or(Trouble::ImageLost)
    }
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
