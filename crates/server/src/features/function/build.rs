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

/// What came of it. `Err` is the one reason for people.
pub(super) async fn build(
    platform: &Platform,
    function: &Object<Function>,
    image: Built,
) -> Result<Result<Deployed, String>, ReadError> {
    let Ok(digest) = function.spec.source.parse() else {
        return Ok(Err("its source is lost; update it".to_owned()));
    };
    let Some(source) = platform.store.blob(&digest).await? else {
        return Ok(Err("its source is lost; update it".to_owned()));
    };
    let interpreter = match platform.workers.python3().await {
        Ok(interpreter) => interpreter,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let unpack = SourceBuild {
        organization: function.meta.organization.uuid(),
        archive: Bytes::from(source),
        base: interpreter.base(),
    };
    let code = match platform.workers.builder.unpack(unpack).await {
        Ok(built) => built.layer,
        Err(error) => return Ok(Err(error.reason())),
    };
    let spec = &function.spec;
    let deployed = Deployed {
        faas_id: spec.faas_id,
        runtime: "python3".to_owned(),
        base_digest: image.base_digest,
        dependencies: image.layer,
        code: code.to_string(),
        handler: spec.handler.clone(),
        timeout_ms: spec.timeout_ms,
        schema: spec.schema.clone(),
        secrets: spec.secrets.clone(),
        services: spec.services.clone(),
    };
    let organization = function.meta.organization;
    let Some(organization_name) = project::organization_name(platform, organization).await? else {
        return Ok(Err("its organization does not exist any more".to_owned()));
    };
    let whose = project::Whose {
        organization,
        organization_name: &organization_name,
        function: &function.meta.name,
    };
    let revision = project::revision(platform, whose, &deployed, Vec::new(), Vec::new()).await;
    let revision = match revision {
        Ok(revision) => revision,
        Err(reason) => return Ok(Err(reason)),
    };
    Ok(prove(platform, &revision).await.map(|()| deployed))
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
