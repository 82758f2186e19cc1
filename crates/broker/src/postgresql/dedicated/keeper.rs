//! The keeper of one instance: a task that reads in the books what should be, and brings it about.
//!
//! One path for what is new, what was cut off, what died and what is to go: read the entry, do what
//! it asks for until it is done or the entry has changed, read it again. So a broker that was killed
//! anywhere goes on by being started. Only a creation ends in failure; everything else is tried
//! again, less and less often.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::super::names::InstanceNames;
use super::Dedicated;
use super::error::ClusterError;
use super::storage::{self, Level};
use super::{make, postmaster};
use crate::books::{Instance, State};

/// The first pause after something went wrong, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What went well for so long begins again with the first pause.
const WELL: Duration = Duration::from_secs(60);

/// What the requests and the keeper of an instance tell each other.
#[derive(Debug)]
pub(super) struct Kept {
    /// Grows whenever the keeper is to read the books again.
    asked: watch::Sender<u64>,
    said: Mutex<Said>,
}

/// What there is to tell of an instance.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// What is being done.
    pub(crate) progress: String,
    /// Bytes that were measured, and what follows from them.
    pub(crate) storage: Option<(u64, Level)>,
}

impl Kept {
    pub(super) fn new() -> Self {
        Self { asked: watch::Sender::new(0), said: Mutex::default() }
    }

    pub(super) fn ask(&self) {
        self.asked.send_modify(|asked| *asked += 1);
    }

    pub(super) fn asked(&self) -> u64 {
        *self.asked.borrow()
    }

    pub(super) fn said(&self) -> Said {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn say(&self, progress: impl Into<String>) {
        let progress = progress.into();
        tracing::debug!(progress, "a dedicated server");
        self.said.lock().unwrap_or_else(PoisonError::into_inner).progress = progress;
    }

    fn measured(&self, storage: (u64, Level)) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).storage = Some(storage);
    }

    /// Waits until it was asked again.
    async fn asked_since(&self, seen: u64) {
        // It cannot be closed: this holds the sender.
        let _ = self.asked.subscribe().wait_for(|asked| *asked != seen).await;
    }
}

/// What comes after one step.
enum Next {
    Again,
    /// There is nothing to keep.
    Nothing,
}

/// Keeps an instance until nothing is left of it.
pub(super) async fn keep(dedicated: Arc<Dedicated>, id: String, kept: Arc<Kept>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let (seen, began) = (kept.asked(), Instant::now());
        match step(&dedicated, &id, &kept, seen).await {
            Ok(Next::Again) => pause = FIRST_PAUSE,
            Ok(Next::Nothing) => {
                if dedicated.let_go(&id, seen) {
                    return;
                }
            }
            Err(error) if error.is_a_kill() => return,
            Err(error) => {
                let pause_ms = pause.as_millis();
                tracing::error!(instance_id = id, %error, pause_ms, "a dedicated server");
                kept.say(format!("{error}; trying again"));
                if began.elapsed() > WELL {
                    pause = FIRST_PAUSE;
                }
                let _ = timeout(pause, kept.asked_since(seen)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn step(
    dedicated: &Dedicated,
    id: &str,
    kept: &Kept,
    seen: u64,
) -> Result<Next, ClusterError> {
    let Some(row) = dedicated.books.instance(id).await? else { return Ok(Next::Nothing) };
    match (row.state, &row.failure, row.port) {
        (State::Creating, Some(_), None) => Ok(Next::Nothing),
        (State::Creating, Some(_), Some(_)) => clean_up(dedicated, row, kept).await,
        (State::Creating, None, _) => {
            let result = tokio::select! {
                result = make::make(dedicated, &row, kept) => result,
                () = kept.asked_since(seen) => return Ok(Next::Again),
            };
            match result {
                Ok(()) => {}
                Err(error) if error.is_a_kill() => return Err(error),
                Err(error) => fail(dedicated, row, &error).await?,
            }
            Ok(Next::Again)
        }
        (State::Ready, _, _) => supervise(dedicated, &row, kept, seen).await,
        (State::Deleting, _, _) => remove(dedicated, &row, kept).await,
    }
}

/// Writes down that an instance could not be made. Its port stays its own until all is removed.
async fn fail(
    dedicated: &Dedicated,
    row: Instance,
    error: &ClusterError,
) -> Result<(), ClusterError> {
    tracing::error!(instance_id = row.id, %error, "a dedicated server could not be made");
    let failed = Instance { failure: Some(error.to_string()), ..row };
    dedicated.books.made(failed).await?;
    Ok(())
}

/// Removes what a creation that failed has made.
async fn clean_up(dedicated: &Dedicated, row: Instance, kept: &Kept) -> Result<Next, ClusterError> {
    kept.say("cleaning up");
    let cluster = dedicated.cluster(&row.id);
    postmaster::stop(&cluster).await?;
    cluster.remove().await?;
    dedicated.books.made(Instance { port: None, ..row }).await?;
    Ok(Next::Again)
}

/// Has the cluster of an instance run, until it dies or the books are to be read again.
async fn supervise(
    dedicated: &Dedicated,
    row: &Instance,
    kept: &Kept,
    seen: u64,
) -> Result<Next, ClusterError> {
    let cluster = dedicated.cluster(&row.id);
    let changed = cluster.configure(&dedicated.configuration(row))?;
    let process = match postmaster::find(&cluster)? {
        Some(process) => {
            if changed {
                process
                    .signal(Signal::HUP)
                    .map_err(ClusterError::io("have it read its settings"))?;
            }
            tracing::debug!(instance_id = row.id, pid = process.pid, "adopted");
            process
        }
        None => {
            kept.say("starting");
            postmaster::start(&cluster, None).await?
        }
    };
    postmaster::wait(&cluster, &process, None).await?;
    kept.say("running");
    let (server, names) = (dedicated.server(row), InstanceNames::of(&row.id));
    let mut level = None;
    loop {
        if let Err(error) = watch_storage(dedicated, row, kept, &server, &names, &mut level).await {
            if error.is_a_kill() {
                return Err(error);
            }
            tracing::warn!(instance_id = row.id, %error, "the storage was not measured");
        }
        tokio::select! {
            () = process.ended() => return Err(ClusterError::Ended),
            () = kept.asked_since(seen) => return Ok(Next::Again),
            () = sleep(dedicated.settings.measure) => {}
        }
    }
}

/// Measures the disk, and brings the database to the level that follows from it.
async fn watch_storage(
    dedicated: &Dedicated,
    row: &Instance,
    kept: &Kept,
    server: &super::super::server::Server,
    names: &InstanceNames,
    level: &mut Option<Level>,
) -> Result<(), ClusterError> {
    let cluster = dedicated.cluster(&row.id);
    let used = tokio::task::spawn_blocking(move || {
        cluster.cut_log()?;
        storage::measure(&cluster.data())
    });
    let used = used.await.unwrap_or_else(|_| Err(std::io::Error::other("interrupted")));
    let used = used.map_err(ClusterError::io("measure its files"))?;
    let limit = dedicated.configuration(row).storage_bytes;
    let now = match *level {
        Some(level) => level,
        None => storage::level(server, names).await?,
    };
    let next = now.after(used, limit);
    if next != now {
        tracing::warn!(instance_id = row.id, used, limit, level = next.word(), "storage");
        storage::bring_to(next, server, names, dedicated.connections()).await?;
    }
    *level = Some(next);
    kept.measured((used, next));
    Ok(())
}

async fn remove(dedicated: &Dedicated, row: &Instance, kept: &Kept) -> Result<Next, ClusterError> {
    let cluster = dedicated.cluster(&row.id);
    kept.say("stopping");
    dedicated.pass()?;
    postmaster::stop(&cluster).await?;
    dedicated.pass()?;
    kept.say("removing its files");
    cluster.remove().await?;
    dedicated.pass()?;
    dedicated.books.remove_instance(&row.id).await?;
    dedicated.pass()?;
    Ok(Next::Nothing)
}
