//! When secrets or credentials change: what the functions that use them hold is made again, and of no others.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use dispatch_engine::Backoff;
use dispatch_model::{
    Id, Kind, Name, Object, function::Function, organization::Organization, secret::Secret,
    service_binding::ServiceBinding,
};
use dispatch_store::{Change, ReadError, Stored, What};
use futures::{StreamExt as _, stream};
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};
use uuid::Uuid;

use super::project::project;
use crate::{functions::Deployment, platform::Platform};

/// Functions that are brought up to date at a time.
const PARALLEL: usize = 8;
/// Between tries of what could not be read.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(60) };

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Touched {
    Secret(Uuid),
    Binding(Uuid),
    Everything,
}

type All = BTreeSet<(Id<Organization>, Touched)>;

/// Follows the change feed.
pub async fn follow(platform: Arc<Platform>) {
    let mut changes = platform.store.watch();
    let (mut behind, mut tries) = (All::new(), 0);
    while let Some(mut touched) = next(&platform, &mut changes, tries).await {
        touched.append(&mut behind);
        behind = renew_all(&platform, touched).await;
        tries = if behind.is_empty() { 0 } else { tries.saturating_add(1) };
    }
}

/// What has changed since. It may be nothing when something is to be tried again; `None` when the server stops.
async fn next(platform: &Platform, changes: &mut Receiver<Change>, tries: u32) -> Option<All> {
    let again = async {
        let wait = AGAIN.delay(tries, platform.entropy.number());
        platform.clock.sleep_until(crate::time::after(platform.clock.now(), wait)).await;
    };
    let mut touched = All::new();
    tokio::select! {
        change = changes.recv() => match change {
            Ok(change) => note(platform, &mut touched, change),
            Err(RecvError::Lagged(_)) => note_all(platform, &mut touched),
            Err(RecvError::Closed) => return None,
        },
        () = again, if tries > 0 => {}
        () = platform.stopping.cancelled() => return None,
    }
    // What comes in a burst is worth one look.
    loop {
        match changes.try_recv() {
            Ok(change) => note(platform, &mut touched, change),
            Err(TryRecvError::Lagged(_)) => note_all(platform, &mut touched),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(touched),
        }
    }
}

/// What could not be read, and is to be tried again.
async fn renew_all(platform: &Platform, touched: All) -> All {
    let mut behind = All::new();
    for (organization, what) in touched {
        if let Err(error) = renew(platform, organization, &what).await {
            tracing::error!(%organization, %error, "new credentials cannot be read");
            // Nobody knows whom it concerns, so that nobody keeps what may be old.
            clear_all(platform, organization);
            behind.insert((organization, Touched::Everything));
        }
    }
    behind
}

fn note(platform: &Platform, touched: &mut All, change: Change) {
    let what = match (change.kind, change.what) {
        (Kind::Secret, _) => Touched::Secret(change.id),
        (Kind::ServiceBinding, what) => {
            if what == What::Deleted {
                platform.consumers.forget(Id::from_uuid(change.id));
            }
            Touched::Binding(change.id)
        }
        // The handler has said so, unless it panicked after the commit.
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
        Touched::Everything => again(platform, clear_all(platform, organization)).await,
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

/// Every function of the organization reads anew at its next call; those.
fn clear_all(platform: &Platform, organization: Id<Organization>) -> Vec<Arc<Deployment>> {
    let all = platform.functions.matching(|one| one.organization == organization);
    all.iter().for_each(|one| one.context.clear());
    all
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
    // One that cannot be read does not keep the others from it.
    stream::iter(with_services)
        .map(async |one| take_new(platform, one.id).await)
        .buffer_unordered(PARALLEL)
        .fold(Ok(()), async |all, one| all.and(one))
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
mod tests;
