//! The turn of a non-blocking run: read, executed, recorded.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use dispatch_api::run::{Run, RunError};
use dispatch_engine::Backoff;
use dispatch_model::{Id, Phase, function::Function, organization::Organization};
use dispatch_runtime::pool::Begin;
use dispatch_store::{Batch, CommitError, ReadError, RunRecord, RunState};
use futures::future::BoxFuture;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    asked::{self, Asked},
    blocking::{NotCallable, find},
    execute::{Ended, Failed, Request, execute},
    record,
};
use crate::{functions::Deployment, platform::Platform};

/// Between tries of a run that found no room, or a store that is away.
const ROOM: Backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(10) };

/// From waiting to done. Whatever happens is on the run.
pub(super) async fn carry_out(platform: &Platform, organization: Id<Organization>, id: Uuid) {
    let Some(Taken { run, created, deployment, request }) = take(platform, organization, id).await
    else {
        return;
    };
    let begun = OnceLock::new();
    let begin = || -> BoxFuture<'_, bool> {
        Box::pin(begin(platform, organization, &run, created, &begun))
    };
    let ended = with_room(platform, &deployment, &request, &begin).await;
    let was = match begun.get() {
        None => RunState::Waiting,
        Some(true) => RunState::Executing,
        Some(false) => return,
    };
    let Some(ended) = ended else {
        // Nothing of it was executed: the next start takes it up.
        if was == RunState::Executing {
            let waiting = record::row(&run, organization, RunState::Waiting, created, None);
            stored(platform, &waiting, was).await;
        }
        return;
    };
    let now = platform.clock.now();
    let run = record::finished(run, &ended, now);
    let to_store = record::to_store(&run, &ended);
    let done = record::row(&to_store, organization, RunState::Done, created, Some(now));
    stored(platform, &done, was).await;
}

/// There is a worker: from now on the run may have been executed. False if that could not be stored.
async fn begin(
    platform: &Platform,
    organization: Id<Organization>,
    run: &Run,
    created: Timestamp,
    begun: &OnceLock<bool>,
) -> bool {
    if let Some(begun) = begun.get() {
        return *begun;
    }
    let executing = Run { status: Phase::Creating.as_str().to_owned(), ..run.clone() };
    let executing = record::row(&executing, organization, RunState::Executing, created, None);
    let is_stored = stored(platform, &executing, RunState::Waiting).await;
    *begun.get_or_init(|| is_stored)
}

struct Taken {
    run: Run,
    created: Timestamp,
    deployment: Arc<Deployment>,
    request: Request,
}

/// The run as it was stored. `None`: it cannot be executed, which its record says; or the server stops.
async fn take(platform: &Platform, organization: Id<Organization>, id: Uuid) -> Option<Taken> {
    let mut tries = 0;
    loop {
        match read(platform, organization, id).await {
            Ok(found) => return found,
            Err(error) => {
                tracing::error!(run = %id, %error, "a run that waits cannot be read");
            }
        }
        if !pause(platform, &mut tries).await {
            return None;
        }
    }
}

async fn read(
    platform: &Platform,
    organization: Id<Organization>,
    id: Uuid,
) -> Result<Option<Taken>, ReadError> {
    let scope = platform.system.organization(organization);
    let Some(row) = platform.store.run(&scope, id).await? else { return Ok(None) };
    let Ok(run) = serde_json::from_str::<Run>(&row.body) else {
        tracing::error!(run = %id, "a stored run cannot be read");
        let run = unreadable(platform, &row).await?;
        end(platform, run, &row, "its record cannot be read").await;
        return Ok(None);
    };
    let asked = match Asked::load(platform, id).await {
        Err(error @ (ReadError::Damaged { .. } | ReadError::Unsealable { .. })) => {
            tracing::error!(run = %id, %error, "a stored run cannot be read");
            end(platform, run, &row, "what it was asked to be given cannot be read").await;
            return Ok(None);
        }
        asked => asked?,
    };
    let found = match run.function_name.parse() {
        Ok(name) => find(platform, organization, &name).await,
        Err(_) => Err(NotCallable::NotFound),
    };
    let deployment = match found {
        Ok(found) if found.id.uuid() == run.function_id => Ok(found),
        // Or another one of its name is there.
        Ok(_) | Err(NotCallable::NotFound) => Err("does not exist any more"),
        Err(NotCallable::NotReady) => Err("is not READY"),
        Err(NotCallable::Unreadable(error)) => return Err(error),
    };
    let deployment = match deployment {
        Ok(deployment) => deployment,
        Err(why) => {
            let why = format!("function {} {why}", run.function_name);
            end(platform, run, &row, &why).await;
            return Ok(None);
        }
    };
    let request = request(&run, asked);
    Ok(Some(Taken { created: row.created, run, deployment, request }))
}

fn request(run: &Run, asked: Asked) -> Request {
    let input = run.input.as_ref().map(|input| input.get().as_bytes());
    Request {
        id: run.name,
        input: input.map(bytes::Bytes::copy_from_slice).unwrap_or_default(),
        http_context: asked.http_context.or_else(|| run.http_context.clone()),
        event: run.event.clone(),
        secrets: asked.secrets,
        services: asked.services,
    }
}

/// Waits longer each time; false when the server stops.
async fn pause(platform: &Platform, tries: &mut u32) -> bool {
    *tries += 1;
    let wait = ROOM.delay(*tries, platform.entropy.number());
    let until = crate::time::after(platform.clock.now(), wait);
    tokio::select! {
        () = platform.clock.sleep_until(until) => true,
        () = platform.stopping.cancelled() => false,
    }
}

/// A run that was accepted is not refused for lack of room; it waits for it.
/// `None`: the server stops, and nothing was executed.
async fn with_room(
    platform: &Platform,
    deployment: &Deployment,
    request: &Request,
    begin: &Begin<'_>,
) -> Option<Ended> {
    let mut tries = 0;
    loop {
        let ended = execute(platform, deployment, request, Some(begin)).await;
        let not_called = ended.logs.is_none() && ended.output.is_err();
        if not_called && platform.stopping.is_cancelled() {
            return None;
        }
        if !matches!(ended.output, Err(Failed::Overloaded(_))) {
            return Some(ended);
        }
        if !pause(platform, &mut tries).await {
            return None;
        }
    }
}

/// Stores a run's next state. A store that is full or away now may not be later, so it is tried until the server stops.
async fn stored(platform: &Platform, row: &RunRecord, was: RunState) -> bool {
    let mut tries = 0;
    loop {
        let mut batch = Batch::system("run goes on").update_run(row, was);
        if row.state == RunState::Done {
            batch = batch.unseal_delete(asked::key(row.id));
        }
        let error = match platform.store.commit(batch).await {
            Ok(_) => return true,
            Err(error @ CommitError::RunConflict { .. }) => {
                tracing::error!(run = %row.id, %error, "a run is not as it was left");
                return false;
            }
            Err(error) => error,
        };
        if platform.stopping.is_cancelled() {
            tracing::error!(run = %row.id, %error, "the state of a run cannot be stored");
            return false;
        }
        pause(platform, &mut tries).await;
    }
}

/// Notes that a run which was executing has ended with the server.
pub(super) async fn lost(platform: &Platform, organization: Id<Organization>, id: Uuid, why: &str) {
    let mut tries = 0;
    loop {
        match read_lost(platform, organization, id).await {
            Ok(Some((run, row))) => return end(platform, run, &row, why).await,
            Ok(None) => return,
            Err(error) => tracing::error!(run = %id, %error, "a lost run cannot be read"),
        }
        if !pause(platform, &mut tries).await {
            return;
        }
    }
}

async fn read_lost(
    platform: &Platform,
    organization: Id<Organization>,
    id: Uuid,
) -> Result<Option<(Run, RunRecord)>, ReadError> {
    let scope = platform.system.organization(organization);
    let Some(row) = platform.store.run(&scope, id).await? else { return Ok(None) };
    let run = match serde_json::from_str(&row.body) {
        Ok(run) => run,
        Err(_) => unreadable(platform, &row).await?,
    };
    Ok(Some((run, row)))
}

/// What is still known of a run whose record cannot be read.
async fn unreadable(platform: &Platform, row: &RunRecord) -> Result<Run, ReadError> {
    let scope = platform.system.organization(row.organization);
    let function =
        platform.store.get_by_id(&scope, Id::<Function>::from_uuid(row.function)).await?;
    let name = function.map(|function| function.meta().name.to_string());
    Ok(record::unknown(row, name.unwrap_or_else(|| row.function.to_string())))
}

/// Ends a run that is in the state of `row` without executing it.
async fn end(platform: &Platform, mut run: Run, row: &RunRecord, why: &str) {
    let now = platform.clock.now();
    run.finished_time = now.as_second();
    run.status = Phase::Error.as_str().to_owned();
    run.reason = Some(vec![format!("error running function: {}: {why}", run.function_name)]);
    run.error = Some(RunError {
        message: why.to_owned(),
        stacktrace: None,
        kind: "SystemError".to_owned(),
    });
    let done = record::row(&run, row.organization, RunState::Done, row.created, Some(now));
    stored(platform, &done, row.state).await;
}
