//! A run that somebody waits for: executed, answered, and recorded without holding up the answer (decision 4).

use std::sync::Arc;

use dispatch_api::run::Run;
use dispatch_model::{Id, Name, function::Function, organization::Organization};
use dispatch_store::{ReadError, RunState, Stored};
use jiff::Timestamp;

use super::{
    execute::{Ended, Failed, Request, execute},
    record,
};
use crate::{features::function::project_now, functions::Deployment, platform::Platform};

/// Executes it. What was refused for lack of room was no run, and leaves no record.
pub async fn run(
    platform: &Platform,
    deployment: &Deployment,
    request: &Request,
    now: Timestamp,
) -> (Run, Ended) {
    // A server that stops waits for the record.
    let _recorded = platform.runs.tasks.token();
    let wanted = record::wanted(deployment, request, true, now);
    let ended = execute(platform, deployment, request, None).await;
    let finished = platform.clock.now();
    let run = record::finished(wanted, &ended, finished);
    if !matches!(ended.output, Err(Failed::Overloaded(_))) {
        let stored = record::to_store(&run, &ended);
        let organization = deployment.organization;
        let row = record::row(&stored, organization, RunState::Done, now, Some(finished));
        platform.store.record_run(row);
    }
    (run, ended)
}

/// Why a function cannot be called.
#[derive(Debug)]
pub enum NotCallable {
    NotFound,
    NotReady,
    Unreadable(ReadError),
}

/// What calls of this function use. One that is stored and not yet in the snapshot (after a start) is put there.
pub async fn find(
    platform: &Platform,
    organization: Id<Organization>,
    name: &Name,
) -> Result<Arc<Deployment>, NotCallable> {
    if let Some(found) = platform.functions.get(organization, name) {
        return Ok(found);
    }
    let scope = platform.system.organization(organization);
    match platform.functions.is_absent(organization, name) {
        Ok(true) => return Err(NotCallable::NotFound),
        Ok(false) => {}
        Err(listing) => {
            let names = platform.store.names::<Function>(&scope).await;
            let names = names.map_err(NotCallable::Unreadable)?;
            platform.functions.listed(&listing, organization, names);
        }
    }
    let stored = platform.store.get::<Function>(&scope, name).await;
    let Some(Stored::Readable(function)) = stored.map_err(NotCallable::Unreadable)? else {
        return Err(NotCallable::NotFound);
    };
    if function.meta.deleting.is_none() {
        project_now(platform, &function).await.map_err(NotCallable::Unreadable)?;
    }
    platform.functions.get(organization, name).ok_or(NotCallable::NotReady)
}
