//! Non-blocking runs: durable before they are answered, taken up again after a crash, never silently lost.

use std::{sync::Arc, time::Duration};

use dispatch_api::run::{Run, RunError};
use dispatch_engine::Backoff;
use dispatch_model::{
    ErrorCode, Phase,
    function::{Function, ServiceUse},
};
use dispatch_store::{Batch, CommitError, RunRecord, RunState, Stored};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{
    execute::{Ended, Failed, Request, execute},
    record,
};
use crate::{
    features::function::project_now, functions::Deployment, http::ApiError, platform::Platform,
};

/// Non-blocking runs that are accepted and have not ended.
const ACCEPTED_MAX: usize = 10_000;
/// Those of them that are executed at a time.
const EXECUTING_MAX: usize = 64;
/// Between tries of a run that found no room.
const ROOM: Backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(10) };

/// What is under way.
#[derive(Debug)]
pub struct Runs {
    accepted: Arc<Semaphore>,
    executing: Arc<Semaphore>,
    pub tasks: TaskTracker,
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            accepted: Arc::new(Semaphore::new(ACCEPTED_MAX)),
            executing: Arc::new(Semaphore::new(EXECUTING_MAX)),
            tasks: TaskTracker::new(),
        }
    }
}

/// Stores a run in the caller's batch and starts it. What is answered is durable.
pub async fn accept(
    platform: &Arc<Platform>,
    deployment: &Arc<Deployment>,
    request: Request,
    now: Timestamp,
    batch: Batch,
) -> Result<Run, ApiError> {
    let seat = Arc::clone(&platform.runs.accepted).try_acquire_owned().map_err(|_| {
        ApiError::new(ErrorCode::Unavailable, format!("{ACCEPTED_MAX} runs are waiting already"))
    })?;
    let run = record::wanted(deployment, &request, false, now);
    let row = record::row(&run, deployment.organization, RunState::Waiting, now, None);
    platform.store.commit(batch.insert_run(&row)).await?;
    let (platform, deployment, wanted) =
        (Arc::clone(platform), Arc::clone(deployment), run.clone());
    let tasks = platform.runs.tasks.clone();
    tasks.spawn(async move {
        carry_out(&platform, &deployment, request, wanted, row).await;
        drop(seat);
    });
    Ok(run)
}

/// From waiting to done. Whatever happens is on the run.
async fn carry_out(
    platform: &Arc<Platform>,
    deployment: &Deployment,
    request: Request,
    wanted: Run,
    row: RunRecord,
) {
    let turn = tokio::select! {
        turn = platform.runs.executing.acquire() => turn,
        // It stays waiting and is taken up at the next start.
        () = platform.stopping.cancelled() => return,
    };
    let Ok(_turn) = turn else { return };
    let executing = Run { status: Phase::Creating.as_str().to_owned(), ..wanted.clone() };
    let row_now = record::row(&executing, row.organization, RunState::Executing, row.created, None);
    if !stored(platform, &row_now, RunState::Waiting).await {
        return;
    }
    let Some(ended) = with_room(platform, deployment, &request).await else {
        // Nothing of it was executed: the next start takes it up.
        stored(platform, &row, RunState::Executing).await;
        return;
    };
    let now = platform.clock.now();
    let run = record::finished(wanted, &ended, now);
    let stored = record::to_store(&run, &ended);
    let done = record::row(&stored, row.organization, RunState::Done, row.created, Some(now));
    self::stored(platform, &done, RunState::Executing).await;
}

/// A run that was accepted is not refused for lack of room; it waits for it.
/// `None`: the server stops, and nothing was executed.
async fn with_room(
    platform: &Platform,
    deployment: &Deployment,
    request: &Request,
) -> Option<Ended> {
    let mut tries = 0;
    loop {
        let ended = execute(platform, deployment, request).await;
        let not_called = ended.logs.is_none() && ended.output.is_err();
        if not_called && platform.stopping.is_cancelled() {
            return None;
        }
        if !matches!(ended.output, Err(Failed::Overloaded(_))) {
            return Some(ended);
        }
        tries += 1;
        let wait = ROOM.delay(tries, platform.entropy.number());
        let until = crate::time::after(platform.clock.now(), wait);
        tokio::select! {
            () = platform.clock.sleep_until(until) => {}
            () = platform.stopping.cancelled() => return None,
        }
    }
}

/// Stores a run's next state. A store that is full or away now may not be later, so it is tried until the server stops.
async fn stored(platform: &Platform, row: &RunRecord, was: RunState) -> bool {
    let mut tries = 0;
    loop {
        let batch = Batch::system("run goes on").update_run(row, was);
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
        tries += 1;
        let wait = ROOM.delay(tries, platform.entropy.number());
        let until = crate::time::after(platform.clock.now(), wait);
        tokio::select! {
            () = platform.clock.sleep_until(until) => {}
            () = platform.stopping.cancelled() => {}
        }
    }
}

/// At start: what was waiting is started; what was executing has ended with the server (decision 15).
pub async fn resume(platform: &Arc<Platform>) {
    let unfinished = match platform.store.unfinished_runs(&platform.system).await {
        Ok(unfinished) => unfinished,
        Err(error) => {
            tracing::error!(%error, "unfinished runs cannot be read");
            return;
        }
    };
    for row in unfinished {
        let Ok(run) = serde_json::from_str::<Run>(&row.body) else {
            tracing::error!(run = %row.id, "a stored run cannot be read");
            continue;
        };
        match row.state {
            RunState::Waiting => start_again(platform, run, row).await,
            RunState::Executing => {
                lost(platform, run, &row, RunState::Executing, "the server stopped during the run")
                    .await;
            }
            RunState::Done => {}
        }
    }
}

async fn start_again(platform: &Arc<Platform>, run: Run, row: RunRecord) {
    let id = run.function_id.into();
    let stored = platform.store.get_by_id::<Function>(&platform.system, id).await;
    let function = match stored {
        Ok(Some(Stored::Readable(function))) => Some(function),
        _ => None,
    };
    let deployment = match &function {
        Some(function) => {
            if let Err(error) = project_now(platform, function).await {
                tracing::error!(run = %row.id, %error, "the function of a run cannot be read");
            }
            platform.functions.get(function.meta.organization, &function.meta.name)
        }
        None => None,
    };
    let Some(deployment) = deployment else {
        let why = format!("function {} is not READY", run.function_name);
        lost(platform, run, &row, RunState::Waiting, &why).await;
        return;
    };
    let Ok(seat) = Arc::clone(&platform.runs.accepted).acquire_owned().await else { return };
    let request = request_again(&run, &deployment);
    let platform = Arc::clone(platform);
    let tasks = platform.runs.tasks.clone();
    tasks.spawn(async move {
        carry_out(&platform, &deployment, request, run, row).await;
        drop(seat);
    });
}

/// The request as it was stored. Its own secrets come after the function's in the list.
fn request_again(run: &Run, deployment: &Deployment) -> Request {
    let own = deployment.deployed.secrets.len();
    let secrets = run.secrets.iter().skip(own).filter_map(|name| name.parse().ok()).collect();
    let services: Vec<ServiceUse> = Vec::new();
    Request {
        id: run.name,
        input: run
            .input
            .as_ref()
            .map(|input| bytes::Bytes::copy_from_slice(input.get().as_bytes()))
            .unwrap_or_default(),
        http_context: run.http_context.clone(),
        event: run.event.clone(),
        secrets,
        services,
    }
}

async fn lost(platform: &Platform, mut run: Run, row: &RunRecord, was: RunState, why: &str) {
    let now = platform.clock.now();
    run.finished_time = now.as_second();
    run.status = Phase::Error.as_str().to_owned();
    run.reason = Some(vec![format!("error running function: {}: {why}", run.function_name)]);
    run.error = Some(RunError {
        message: why.to_owned(),
        stacktrace: None,
        kind: "SystemError".to_owned(),
    });
    let row = record::row(&run, row.organization, RunState::Done, row.created, Some(now));
    if let Err(error) = platform.store.commit(Batch::system("run lost").update_run(&row, was)).await
    {
        tracing::error!(run = %row.id, %error, "a lost run cannot be noted");
    }
}
