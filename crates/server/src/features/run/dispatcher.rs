//! Non-blocking runs: durable before they are answered, taken up again after a crash, never silently lost. What waits
//! is in the store; in memory there are its id and its size.

use std::sync::Arc;

use dispatch_api::run::Run;
use dispatch_model::{ErrorCode, Id, organization::Organization};
use dispatch_runtime::pool;
use dispatch_store::{Batch, ReadError, RunState};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{
    asked::{self, Asked},
    execute::{CUT_OFF, Request},
    record,
    turn::{carry_out, lost},
    turns::Turns,
};
use crate::{functions::Deployment, http::ApiError, platform::Platform};

/// Non-blocking runs that are accepted and have not ended.
const ACCEPTED_MAX: usize = 10_000;
/// What their records take in the store, in KiB.
const ACCEPTED_KIB_MAX: u32 = 1 << 20;
/// Those of them that are executed at a time.
const EXECUTING_MAX: usize = 64;
/// What the records of those take, in KiB: only they are in memory.
const EXECUTING_KIB_MAX: u32 = 64 << 10;

/// What is under way.
#[derive(Debug)]
pub struct Runs {
    accepted: Arc<Semaphore>,
    accepted_kib: Arc<Semaphore>,
    executing: Arc<Semaphore>,
    executing_kib: Arc<Semaphore>,
    /// Bounded by the room that each of them has.
    turns: Arc<Turns<Waiting>>,
    /// And blocking runs, until they are recorded.
    pub tasks: TaskTracker,
}

/// A run that waits for its turn.
#[derive(Debug)]
struct Waiting {
    id: Uuid,
    organization: Id<Organization>,
    kib: u32,
    /// Those that were taken up again are there whether there is room or not.
    _room: Option<Room>,
}

#[derive(Debug)]
struct Room {
    _one: OwnedSemaphorePermit,
    _kib: OwnedSemaphorePermit,
}

impl Default for Runs {
    fn default() -> Self {
        // More than a pool has workers would wait for one, in places that others could use.
        let at_a_time = pool::Settings::default().max_workers;
        Self {
            accepted: Arc::new(Semaphore::new(ACCEPTED_MAX)),
            accepted_kib: Arc::new(Semaphore::new(ACCEPTED_KIB_MAX as usize)),
            executing: Arc::new(Semaphore::new(EXECUTING_MAX)),
            executing_kib: Arc::new(Semaphore::new(EXECUTING_KIB_MAX as usize)),
            turns: Arc::new(Turns::new(at_a_time)),
            tasks: TaskTracker::new(),
        }
    }
}

impl Runs {
    /// `Err`: why there is none, for people.
    fn room(&self, kib: u32) -> Result<Room, String> {
        let one = Arc::clone(&self.accepted).try_acquire_owned();
        let one = one.map_err(|_| format!("{ACCEPTED_MAX} runs are waiting already"))?;
        let room = Arc::clone(&self.accepted_kib).try_acquire_many_owned(kib);
        let kib = room.map_err(|_| {
            format!("the runs that are waiting already take {} MiB", ACCEPTED_KIB_MAX >> 10)
        })?;
        Ok(Room { _one: one, _kib: kib })
    }
}

/// Stores a run in the caller's batch. What is answered is durable.
pub async fn accept(
    platform: &Arc<Platform>,
    deployment: &Arc<Deployment>,
    request: Request,
    now: Timestamp,
    batch: Batch,
) -> Result<Run, ApiError> {
    let run = record::wanted(deployment, &request, false, now);
    let organization = deployment.organization;
    let row = record::row(&run, organization, RunState::Waiting, now, None);
    let mut batch = batch.insert_run(&row);
    let mut bytes = row.body.len();
    if let Some(asked) = Asked::of(&request) {
        bytes += asked.len();
        batch = batch.seal(organization, asked::key(run.name), asked);
    }
    let kib = kib(bytes);
    let room = platform.runs.room(kib);
    let room = room.map_err(|why| ApiError::new(ErrorCode::Unavailable, why))?;
    drop((request, row));
    let (id, function) = (run.name, run.function_id);
    let accepting = Arc::clone(platform);
    // A caller that goes away at this moment takes back neither the record nor the run.
    let accepted = tokio::spawn(async move {
        accepting.store.commit(batch).await?;
        accepting.runs.turns.wait(function, Waiting { id, organization, kib, _room: Some(room) });
        Ok::<(), dispatch_store::CommitError>(())
    });
    match accepted.await {
        Ok(stored) => stored?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
    Ok(run)
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes >> 10).unwrap_or(u32::MAX).saturating_add(1)
}

/// At start: what was waiting is started; what was executing has ended with the server (decision 15).
pub async fn resume(platform: &Arc<Platform>) -> Result<(), ReadError> {
    for run in platform.store.unfinished_runs(&platform.system).await? {
        let (id, organization) = (run.id, run.organization);
        match run.state {
            RunState::Waiting => {
                let kib = kib(usize::try_from(run.bytes).unwrap_or(usize::MAX));
                let room = platform.runs.room(kib).ok();
                platform
                    .runs
                    .turns
                    .wait(run.function, Waiting { id, organization, kib, _room: room });
            }
            RunState::Executing => {
                let platform = Arc::clone(platform);
                platform.clone().runs.tasks.spawn(async move {
                    lost(&platform, organization, id, CUT_OFF).await;
                });
            }
            RunState::Done => {}
        }
    }
    platform.runs.tasks.spawn(give_turns(Arc::clone(platform)));
    Ok(())
}

/// In the order in which those of one function came, one function after the other. What still waits when the server
/// stops is taken up at the next start.
async fn give_turns(platform: Arc<Platform>) {
    let runs = &platform.runs;
    loop {
        let next = async {
            let (waiting, turn) = runs.turns.next().await;
            let one = Arc::clone(&runs.executing).acquire_owned().await.ok()?;
            let kib = waiting.kib.min(EXECUTING_KIB_MAX);
            let kib = Arc::clone(&runs.executing_kib).acquire_many_owned(kib).await.ok()?;
            Some((waiting, turn, Room { _one: one, _kib: kib }))
        };
        let next = tokio::select! {
            next = next => next,
            () = platform.stopping.cancelled() => return,
        };
        let Some((waiting, turn, room)) = next else { return };
        let platform = Arc::clone(&platform);
        runs.tasks.spawn(async move {
            carry_out(&platform, waiting.organization, waiting.id).await;
            drop((waiting, room, turn));
        });
    }
}

#[cfg(test)]
mod tests;
