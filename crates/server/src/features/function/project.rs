//! From objects to what calls use: the snapshot's entry and the pool's revision. Done again whenever code, image or
//! the bindings' credentials change; equal input gives the equal revision, and then nothing happens.

use std::sync::Arc;

use dispatch_model::{
    Id, Kind, Name, Object,
    function::{Deployed, Function},
    organization::Organization,
};
use dispatch_runtime::{
    host::Language,
    layer::Digest,
    pool::ReplaceError,
    revision::{BindingVersion, Revision, RevisionSpec},
    spawn::{Endpoint, NetworkSpec},
};
use dispatch_store::ReadError;

use crate::{
    call_context::{ContextCache, service_credentials},
    functions::Deployment,
    platform::Platform,
    schema::Schema,
};

/// Puts a deployed function into service. Whoever calls it has the function's turn, so that an older revision never
/// replaces a newer one and a function that is forgotten does not come back.
pub(super) async fn project(
    platform: &Platform,
    function: &Object<Function>,
    deployed: &Deployed,
) -> Result<Result<(), String>, ReadError> {
    let organization = function.meta.organization;
    let scope = platform.system.organization(organization);
    // A service that is not ready now is reached as soon as it is; the call says so until then.
    let (mut bindings, mut endpoints) = (Vec::new(), Vec::new());
    for used in &deployed.services {
        if let Ok(found) = service_credentials(platform, &scope, used).await? {
            bindings.push(found.version);
            endpoints.extend(found.endpoints);
        }
    }
    let Some(organization_name) = organization_name(platform, organization).await? else {
        return Ok(Err("its organization does not exist any more".to_owned()));
    };
    let whose = Whose {
        organization,
        organization_name: &organization_name,
        function: &function.meta.name,
    };
    let revision = match revision(platform, whose, deployed, bindings, endpoints).await {
        Ok(revision) => Arc::new(revision),
        Err(reason) => return Ok(Err(reason)),
    };
    let id = function.meta.id;
    let unchanged = platform
        .workers
        .pools
        .current(id.uuid())
        .is_some_and(|current| current.id() == revision.id());
    if !unchanged {
        put_into_pool(platform, id, &revision).await;
    }
    let name = &function.meta.name;
    match platform.functions.get(organization, name) {
        Some(now) if now.id == id && now.deployed == *deployed => now.context.clear(),
        _ => platform.functions.put(Arc::new(deployment(id, organization, name.clone(), deployed))),
    }
    Ok(Ok(()))
}

/// New calls get the revision. Where workers would be missed, as many of the new one are started before.
async fn put_into_pool(platform: &Platform, id: Id<Function>, revision: &Arc<Revision>) {
    let pools = &platform.workers.pools;
    if pools.current(id.uuid()).is_none() {
        pools.set(id.uuid(), Arc::clone(revision));
        return;
    }
    match pools.switch(id.uuid(), Arc::clone(revision)).await {
        Ok(()) | Err(ReplaceError::Overtaken) => {}
        Err(ReplaceError::StartFailed { error }) => {
            // Calls will say so; keeping the old revision would hide what was wished for.
            tracing::warn!(function = %id, reason = error.reason(), "a revision does not start");
            pools.set(id.uuid(), Arc::clone(revision));
        }
    }
}

fn deployment(
    id: Id<Function>,
    organization: Id<Organization>,
    name: Name,
    deployed: &Deployed,
) -> Deployment {
    Deployment {
        id,
        organization,
        name,
        input: Schema::of_function(deployed.schema.input.as_ref()),
        output: Schema::of_function(deployed.schema.output.as_ref()),
        deployed: deployed.clone(),
        context: ContextCache::default(),
    }
}

/// Layers are a cache: whoever has emptied it has them built again.
pub(super) fn layers_lost(platform: &Platform, deployed: &Deployed) -> bool {
    let layers = platform.workers.builder.layers();
    let digests = std::iter::once(&deployed.code).chain(&deployed.dependencies);
    digests
        .map(|digest| digest.parse().map(|digest: Digest| layers.path(digest)))
        .any(|path| path.is_ok_and(|path| !path.exists()))
}

/// What workers are made from. `Err`: why there can be none, a fragment for people.
pub(super) async fn revision(
    platform: &Platform,
    whose: Whose<'_>,
    deployed: &Deployed,
    bindings: Vec<BindingVersion>,
    endpoints: Vec<Endpoint>,
) -> Result<Revision, String> {
    let language = Language::parse(&deployed.runtime)
        .ok_or_else(|| format!("this version does not have {}", deployed.runtime))?;
    let host = platform.workers.host(language).await.map_err(|error| error.to_string())?;
    let digest = |text: &String| -> Result<Digest, String> {
        text.parse().map_err(|_| "a layer's digest is damaged".to_owned())
    };
    let dependencies: Vec<Digest> =
        deployed.dependencies.iter().map(digest).collect::<Result<_, _>>()?;
    let mut spec = RevisionSpec::new(
        whose.organization.uuid(),
        &host.interpreter,
        host.program,
        platform.workers.builder.layers(),
        digest(&deployed.code)?,
        &dependencies,
        deployed.handler.clone(),
    );
    spec.environment.extend([
        ("DISPATCH_FUNCTION".to_owned(), whose.function.to_string()),
        ("DISPATCH_ORGANIZATION".to_owned(), whose.organization_name.to_string()),
    ]);
    spec.bindings = bindings;
    spec.network = NetworkSpec::Bound(endpoints);
    Ok(Revision::new(spec))
}

/// Whose workers they are; the names are in the workers' environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) organization: Id<Organization>,
    pub(super) organization_name: &'a Name,
    pub(super) function: &'a Name,
}

pub(super) async fn organization_name(
    platform: &Platform,
    organization: Id<Organization>,
) -> Result<Option<Name>, ReadError> {
    let stored = platform.store.get_by_id::<Organization>(&platform.system, organization).await?;
    Ok(stored.map(|stored| stored.meta().name.clone()))
}

/// For a call that found no worker and could start none: if that is for want of its layers, they are made again.
pub fn look_for_layers(platform: &Platform, deployment: &Deployment) {
    if layers_lost(platform, &deployment.deployed) {
        platform.wakers.wake(Kind::Function, deployment.id.uuid());
    }
}

/// For a call that comes before the controller has looked at the function.
pub async fn project_now(
    platform: &Platform,
    function: &Object<Function>,
) -> Result<(), ReadError> {
    let _turn = platform.functions.turn(function.meta.id).await;
    if platform.functions.get(function.meta.organization, &function.meta.name).is_some() {
        return Ok(()); // somebody else was faster
    }
    let found = platform.store.get_by_id::<Function>(&platform.system, function.meta.id).await?;
    let Some(Ok(function)) = found.map(dispatch_store::Stored::readable) else { return Ok(()) };
    let (None, Some(deployed)) = (function.meta.deleting, &function.status.deployed) else {
        return Ok(());
    };
    if let Err(reason) = project(platform, &function, deployed).await? {
        tracing::warn!(function = %function.meta.name, reason, "cannot be put into service");
    }
    Ok(())
}
