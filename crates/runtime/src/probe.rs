//! What this machine lets sandboxes be: what its kernel says ([`kernel`]), and what comes of trying ([`run`]).
//!
//! For people who ask why functions do not run here. Workers themselves are started without any of this.

pub mod kernel;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use uuid::Uuid;

use crate::host;
use crate::spawn::{Confinement, Exit, HostBase, RootSpec, Spawn, SpawnError, WorkerSpec};

/// An interpreter answers within tens of milliseconds.
const TIME_LIMIT: Duration = Duration::from_secs(20);
const MAX_ANSWER_BYTES: u64 = 4096;

/// What a program said in a sandbox, and what held it.
#[derive(Debug)]
pub struct Answer {
    pub said: String,
    pub confinement: Confinement,
}

/// Why there is no answer. Each reads after "a program in a sandbox: ".
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("it could not be started")]
    Spawn(#[from] SpawnError),
    #[error("it ended with {exit:?} and said {said:?}")]
    Ended { exit: Exit, said: String },
    #[error("it did not answer within {} s", TIME_LIMIT.as_secs())]
    Slow,
    #[error("its output cannot be read")]
    Output(#[source] io::Error),
}

/// Runs a program to its end in a sandbox as workers have, without layers and network. `id` is never used twice.
pub async fn run(
    spawner: &dyn Spawn,
    id: Uuid,
    base: HostBase,
    argv: Vec<String>,
) -> Result<Answer, ProbeError> {
    let root = RootSpec { base, layers: Vec::new() };
    let spawned = spawner.spawn(WorkerSpec::new(id, id, argv, root)).await?;
    let process = spawned.process;
    let all = async {
        let (said, heard) = tokio::join!(text(spawned.stdout), text(spawned.stderr));
        (process.wait().await, said, heard)
    };
    let Ok((exit, said, heard)) = tokio::time::timeout(TIME_LIMIT, all).await else {
        return Err(ProbeError::Slow);
    };
    match exit {
        Exit::Code(0) => {
            let said = said.map_err(ProbeError::Output)?;
            Ok(Answer { said, confinement: spawned.confinement })
        }
        exit => Err(ProbeError::Ended { exit, said: heard.unwrap_or_default() }),
    }
}

/// What a sandbox needs to run a program of this machine that is not a part of /usr: the spawner has to know it as one
/// of its base roots.
#[must_use]
pub fn base_with(program: &Path) -> HostBase {
    let mut base = host::common_base();
    base.mounts.push((program.to_owned(), PROGRAM.into()));
    base
}

/// Where [`base_with`] puts the program.
pub const PROGRAM: &str = "/build/program";

async fn text(pipe: OwnedFd) -> io::Result<String> {
    let mut bytes = Vec::new();
    Receiver::from_owned_fd(pipe)?.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
