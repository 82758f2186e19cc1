//! The server's side of the helper: [`Spawn`] on tokio.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Helper;
use super::message::{Report, Request, send};
use super::watched::watched;
use super::worker::{Link, Worker};
use crate::spawn::{
    Confinement, Control, Endpoint, Process, Spawn, SpawnError, Spawned, WorkerSpec,
};

/// A sandbox takes milliseconds; on a machine that swaps, seconds.
const SPAWN_TIMEOUT_S: u64 = 20;

/// Starts sandboxed workers. Dropping it ends the helper and every worker.
#[derive(Debug)]
pub struct Spawner {
    socket: AsyncFd<OwnedFd>,
    confinement: Confinement,
    child: Mutex<Option<Child>>,
}

impl Spawner {
    /// Takes over a started helper. Must be called within a tokio runtime.
    pub fn new(helper: Helper) -> io::Result<Self> {
        let confinement = helper.confinement().clone();
        let Helper { socket, child, .. } = helper;
        rustix::io::ioctl_fionbio(&socket, true)?;
        let socket = watched(socket, Interest::WRITABLE)?;
        Ok(Self { socket, confinement, child: Mutex::new(Some(child)) })
    }

    /// What every worker will be held by.
    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// Whether the helper still runs. Without it, no worker can be started and none is alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Ends every worker and the helper, and waits until the helper has cleaned up after them.
    pub async fn shut_down(mut self) {
        self.hang_up();
        let child = std::mem::replace(&mut self.child, Mutex::new(None));
        let child = child.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(mut child) = child {
            let _ = tokio::task::spawn_blocking(move || child.wait()).await;
        }
    }

    /// The other end of its socket is what keeps the helper alive.
    fn hang_up(&self) {
        let _ = rustix::net::shutdown(self.socket.get_ref(), rustix::net::Shutdown::Both);
    }

    async fn start(&self, spec: WorkerSpec) -> Result<Spawned, SpawnError> {
        let id = spec.id;
        let failed = |what| move |source| SpawnError::Io { what, source };
        let (control, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|errno| failed("make a control socket")(errno.into()))?;
        rustix::io::ioctl_fionbio(&control, true)
            .map_err(|errno| failed("make a control socket")(errno.into()))?;
        let link = Link::new(control).map_err(failed("watch a control socket"))?;
        self.ask(&Request::Spawn(Box::new(spec)), &theirs).await?;
        drop(theirs);
        let (pid, pidfd, memory, confinement) = match link.hear().await? {
            Some((Report::Accepted { pid, memory, confinement }, descriptors)) => {
                let pidfd = descriptors.into_iter().next().ok_or(SpawnError::HelperGone)?;
                (pid, pidfd, memory, confinement)
            }
            Some((other, _)) => return Err(refusal(other)),
            None => return Err(SpawnError::HelperGone),
        };
        // From here on dropping the process, for instance by a time-out of the caller, kills it.
        let worker = Arc::new(Worker::new(id, pid, pidfd, memory, link));
        let process = Process::new(Arc::clone(&worker) as Arc<dyn Control>);
        let (listeners, descriptors) = worker.ready().await?;
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or(SpawnError::HelperGone);
        let (channel, stdout, stderr) = (next()?, next()?, next()?);
        let listeners: Vec<(Endpoint, OwnedFd)> = listeners.into_iter().zip(descriptors).collect();
        Ok(Spawned { channel, stdout, stderr, process, listeners, confinement })
    }

    async fn ask(&self, request: &Request, control: &OwnedFd) -> Result<(), SpawnError> {
        loop {
            let mut ready = self
                .socket
                .writable()
                .await
                .map_err(|source| SpawnError::Io { what: "reach the spawn helper", source })?;
            match ready.try_io(|socket| send(socket.get_ref(), request, &[control.as_fd()])) {
                Err(_would_block) => {}
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                    return Err(SpawnError::Refused {
                        reason: "the request is too large".to_owned(),
                    });
                }
                Ok(Err(_)) => return Err(SpawnError::HelperGone),
            }
        }
    }
}

impl Spawn for Spawner {
    fn spawn(&self, spec: WorkerSpec) -> BoxFuture<'_, Result<Spawned, SpawnError>> {
        async move {
            let limit = Duration::from_secs(SPAWN_TIMEOUT_S);
            match tokio::time::timeout(limit, self.start(spec)).await {
                Ok(result) => result,
                Err(_) => Err(SpawnError::Timeout { seconds: SPAWN_TIMEOUT_S }),
            }
        }
        .boxed()
    }
}

impl Drop for Spawner {
    /// The helper cleans up by itself. Reaped here if it is quick, else by the end of this process.
    fn drop(&mut self) {
        self.hang_up();
        let child = self.child.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = child.as_mut().map(Child::try_wait);
    }
}

/// What a report other than the expected one means for the caller.
pub(super) fn refusal(report: Report) -> SpawnError {
    match report {
        Report::Refused { reason } => SpawnError::Refused { reason },
        Report::Exhausted { what } => SpawnError::Exhausted { what },
        Report::Failed { step, errno } | Report::NotAdded { step, errno } => {
            SpawnError::Setup { step, source: io::Error::from_raw_os_error(errno) }
        }
        Report::Accepted { .. }
        | Report::Ready { .. }
        | Report::Added { .. }
        | Report::Exited(_)
        | Report::Gone { .. } => SpawnError::Ended,
    }
}
