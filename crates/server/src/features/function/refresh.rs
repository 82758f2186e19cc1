//! When secrets or credentials change: what the functions that use them hold is made again, and of no others.

use std::{collections::BTreeSet, sync::Arc};

use dispatch_model::{
    Id, Kind, Name, Object, function::Function, organization::Organization, secret::Secret,
    service_binding::ServiceBinding,
};
use dispatch_store::{Change, ReadError, Stored, What};
use futures::{TryStreamExt as _, stream};
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use super::project::project;
use crate::{functions::Deployment, platform::Platform};

/// Functions that are brought up to date at a time.
const PARALLEL: usize = 8;

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Touched {
    Secret(Uuid),
    Binding(Uuid),
    Everything,
}

/// Follows the change feed.
pub async fn follow(platform: Arc<Platform>) {
    let mut changes = platform.store.watch();
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = platform.stopping.cancelled() => return,
        };
        let mut touched = BTreeSet::new();
        match change {
            Ok(change) => note(&platform, &mut touched, change),
            Err(RecvError::Lagged(_)) => note_all(&platform, &mut touched),
            Err(RecvError::Closed) => return,
        }
        // What comes in a burst is worth one look.
        while let Ok(change) = changes.try_recv() {
            note(&platform, &mut touched, change);
        }
        for (organization, what) in touched {
            if let Err(error) = renew(&platform, organization, &what).await {
                tracing::error!(%organization, %error, "new credentials cannot be read");
            }
        }
    }
}

type All = BTreeSet<(Id<Organization>, Touched)>;

fn note(platform: &Platform, touched: &mut All, change: Change) {
    let what = match (change.kind, change.what) {
        (Kind::Secret, _) => Touched::Secret(change.id),
        (Kind::ServiceBinding, what) => {
            if what == What::Deleted {
                platform.consumers.forget(Id::from_uuid(change.id));
            }
            Touched::Binding(change.id)
        }
        // The handler has said so, unless its caller went away at that moment.
        (Kind::Function, What::Created) => {
            return platform.functions.forget_names(change.organization);
        }
        _ => return,
    };
    touched.insert((change.organization, what));
}

/// Changes were missed.
fn note_all(platform: &Platform, touched: &mut All) {
    for deployment in platform.functions.matching(|_| true) {
        touched.insert((deployment.organization, Touched::Everything));
    }
    platform.functions.forget_all_names();
}

async fn renew(
    platform: &Platform,
    organization: Id<Organization>,
    what: &Touched,
) -> Result<(), ReadError> {
    let scope = platform.system.organization(organization);
    match what {
        Touched::Everything => {
            let all = platform.functions.matching(|one| one.organization == organization);
            all.iter().for_each(|one| one.context.clear());
            again(platform, all).await
        }
        Touched::Secret(id) => {
            let secret = platform.store.get_by_id::<Secret>(&scope, Id::from_uuid(*id)).await?;
            // Of one that is gone nobody knows the name.
            let name = secret.map(|secret| secret.meta().name.clone());
            clear_users(platform, organization, name.as_ref());
            Ok(())
        }
        Touched::Binding(id) => {
            let binding: Id<ServiceBinding> = Id::from_uuid(*id);
            let stored = platform.store.get_by_id(&scope, binding).await?;
            let instance = match &stored {
                Some(Stored::Readable(binding)) => Some(&binding.spec.instance_name),
                _ => None,
            };
            again(platform, users(platform, organization, binding, instance)).await
        }
    }
}

/// When it returns, new calls go to workers that get the credentials of this binding as they are now.
pub async fn refresh(
    platform: &Platform,
    binding: &Object<ServiceBinding>,
) -> Result<(), ReadError> {
    let organization = binding.meta.organization;
    if let Some(credentials) = &binding.status.credentials {
        clear_users(platform, organization, Some(&credentials.secret_name));
    }
    let instance = Some(&binding.spec.instance_name);
    again(platform, users(platform, organization, binding.meta.id, instance)).await
}

/// Functions that name the secret read it anew at their next call; without a name, all that have any.
fn clear_users(platform: &Platform, organization: Id<Organization>, name: Option<&Name>) {
    let uses = |one: &Deployment| match name {
        Some(name) => one.deployed.secrets.contains(name),
        None => !one.deployed.secrets.is_empty(),
    };
    let users = platform.functions.matching(|one| one.organization == organization && uses(one));
    users.iter().for_each(|one| one.context.clear());
}

/// Functions that name the binding's instance, or whose workers have its credentials.
fn users(
    platform: &Platform,
    organization: Id<Organization>,
    binding: Id<ServiceBinding>,
    instance: Option<&Name>,
) -> Vec<Arc<Deployment>> {
    let names = |one: &Deployment| {
        one.deployed.services.iter().any(|used| Some(&used.instance) == instance)
    };
    let has = |one: &Deployment| {
        let current = platform.workers.pools.current(one.id.uuid());
        let uuid = binding.uuid();
        current.is_some_and(|now| now.spec().bindings.iter().any(|had| had.binding == uuid))
    };
    platform.functions.matching(|one| {
        one.organization == organization
            && !one.deployed.services.is_empty()
            && (names(one) || has(one))
    })
}

/// Makes what they hold again.
async fn again(platform: &Platform, functions: Vec<Arc<Deployment>>) -> Result<(), ReadError> {
    functions.iter().for_each(|one| one.context.clear());
    let with_services = functions.into_iter().filter(|one| !one.deployed.services.is_empty());
    stream::iter(with_services.map(Ok))
        .try_for_each_concurrent(PARALLEL, async |one| take_new(platform, one.id).await)
        .await
}

async fn take_new(platform: &Platform, id: Id<Function>) -> Result<(), ReadError> {
    let _turn = platform.functions.turn(id).await;
    let found = platform.store.get_by_id::<Function>(&platform.system, id).await?;
    let Some(Ok(function)) = found.map(Stored::readable) else { return Ok(()) };
    // What is stored now: the snapshot may be older than what was built meanwhile.
    if let (None, Some(deployed)) = (function.meta.deleting, &function.status.deployed)
        && let Err(reason) = project(platform, &function, deployed).await?
    {
        tracing::warn!(function = %function.meta.name, reason, "cannot take new credentials");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dispatch_model::{
        Tags,
        function::{Deployed, Schemas, ServiceUse, Spec, Status},
        object::Meta,
    };
    use dispatch_store::Batch;
    use serde_json::json;

    use super::*;
    use crate::{
        features::{function::project_now, run::CallContext},
        testing::TestPlatform,
    };

    /// Deployed, and nobody has ever called it.
    fn function(
        organization: Id<Organization>,
        number: u128,
        services: &[&str],
    ) -> Object<Function> {
        let (id, name) = (Id::from_uuid(Uuid::from_u128(number)), format!("f{number}"));
        let services: Vec<ServiceUse> =
            services.iter().map(|text| ServiceUse::parse(text).unwrap()).collect();
        let digest = "0".repeat(64);
        let deployed = Deployed {
            faas_id: Uuid::nil(),
            runtime: "python3".to_owned(),
            base_digest: digest.clone(),
            dependencies: None,
            code: digest,
            handler: String::new(),
            timeout_ms: 0,
            schema: Schemas::default(),
            secrets: if number == 3 { vec!["s".parse().unwrap()] } else { Vec::new() },
            services: services.clone(),
        };
        let spec = Spec {
            image: Id::from_uuid(Uuid::nil()),
            image_name: "i".parse().unwrap(),
            handler: String::new(),
            source: String::new(),
            schema: Schemas::default(),
            secrets: deployed.secrets.clone(),
            services,
            timeout_ms: 0,
            faas_id: Uuid::nil(),
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let mut meta = Meta::new(id, organization, name.parse().unwrap(), now, Tags::new());
        meta.generation = 1;
        let status =
            Status { observed_generation: 1, deployed: Some(deployed), ..Status::default() };
        Object { meta, spec, status }
    }

    async fn serve(platform: &Platform, functions: &[Object<Function>]) {
        for function in functions {
            let batch = Batch::system("test").create(function, &[], &[]);
            platform.store.commit(batch).await.unwrap();
            project_now(platform, function).await.unwrap();
        }
    }

    fn fill(platform: &Platform) {
        for one in platform.functions.matching(|_| true) {
            if let Err(reading) = one.context.get() {
                let (members, bindings) = (String::new().into(), Arc::default());
                let context = CallContext {
                    members,
                    bindings,
                    endpoints: Arc::default(),
                    values: Vec::new(),
                };
                one.context.put(reading, Arc::new(context));
            }
        }
    }

    /// Names of those whose calls would read anew.
    fn cleared(platform: &Platform) -> Vec<String> {
        let cleared = platform.functions.matching(|one| one.context.get().is_err());
        let mut names: Vec<String> = cleared.iter().map(|one| one.name.to_string()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn new_credentials_concern_only_the_functions_that_use_them() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        platform.instance("other").await;
        platform.post("/v1/secret", &json!({"name": "s", "secrets": {"k": "v"}})).await;
        platform.quiet().await;
        let parts = platform.running.platform();
        let org = "dispatch".parse().unwrap();
        let organization = parts.organization(&org).await.unwrap().unwrap().organization();
        let functions = [
            function(organization, 1, &["db"]),
            function(organization, 2, &["other"]),
            function(organization, 3, &[]),
            function(organization, 4, &["db=x", "other=y"]),
        ];
        serve(parts, &functions).await;
        let revision = |number| parts.workers.pools.current(Uuid::from_u128(number)).unwrap().id();
        let before = [1, 2, 3, 4].map(revision);
        fill(parts);
        platform.post("/v1/servicebinding/db/rotate?wait=60", &json!({})).await;
        crate::testing::until(|| revision(4) != before[3], || format!("{:?}", cleared(parts)))
            .await;
        assert_eq!(cleared(parts), ["f1", "f4"]);
        let after = [1, 2, 3, 4].map(revision);
        assert_eq!((after[1], after[2]), (before[1], before[2]));
        assert_ne!((after[0], after[3]), (before[0], before[3]));

        // What the feed still says of the rotation concerns the same two.
        let only_f3 = async || {
            let has = |name: &str| cleared(parts).iter().any(|one| one == name);
            crate::testing::until(|| has("f3"), || format!("{:?}", cleared(parts))).await;
            assert!(!has("f2"), "{:?}", cleared(parts));
        };
        fill(parts);
        platform.put("/v1/secret/s", &json!({"name": "s", "secrets": {"k": "w"}})).await;
        only_f3().await;
        fill(parts);
        assert_eq!(platform.delete("/v1/secret/s").await.status, 204);
        only_f3().await;
        fill(parts);
        platform.delete("/v1/serviceinstance/other").await;
        platform.gone("/v1/serviceinstance/other").await;
        crate::testing::until(|| revision(2) != before[1], || "not taken away".to_owned()).await;
        platform.finish().await;
    }
}
