//! One sandboxed worker from the server's side: a task listens on its control socket from the start
//! to the word that no process is left.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Mutex, mpsc, watch};
use uuid::Uuid;

use super::client::refusal;
use super::message::{Ended, Order, Report, receive, send};
use super::watched::watched;
use crate::spawn::{Control, Endpoint, Exit, SpawnError};

/// A worker's control socket.
#[derive(Debug, Clone)]
pub(super) struct Link(Arc<AsyncFd<OwnedFd>>);

type Heard = (Report, Vec<OwnedFd>);

impl Link {
    pub(super) fn new(control: OwnedFd) -> io::Result<Self> {
        Ok(Self(Arc::new(watched(control, Interest::READABLE | Interest::WRITABLE)?)))
    }

    /// The next report; `None` when both helper and sandbox have gone.
    pub(super) async fn hear(&self) -> Result<Option<Heard>, SpawnError> {
        let failed = |source| SpawnError::Io { what: "hear from the sandbox", source };
        loop {
            let mut ready = self.0.readable().await.map_err(failed)?;
            match ready.try_io(|socket| receive::<Report>(socket.get_ref())) {
                Err(_would_block) => {}
                Ok(heard) => return heard.map_err(failed),
            }
        }
    }

    async fn tell(&self, order: &Order) -> Result<(), SpawnError> {
        loop {
            let mut ready = self.0.writable().await.map_err(|_| SpawnError::Ended)?;
            match ready.try_io(|socket| send(socket.get_ref(), order, &[])) {
                Err(_would_block) => {}
                Ok(told) => return told.map_err(|_| SpawnError::Ended),
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Worker {
    id: Uuid,
    pid: i32,
    pidfd: OwnedFd,
    /// The directory of its memory cgroup.
    memory: Option<PathBuf>,
    link: Link,
    /// What answers the spawn itself, and later each order, one at a time.
    answers: Mutex<mpsc::Receiver<Heard>>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Worker {
    pub(super) fn new(
        id: Uuid,
        pid: i32,
        pidfd: OwnedFd,
        memory: Option<PathBuf>,
        link: Link,
    ) -> Self {
        let (answer, answers) = mpsc::channel(4);
        let (ended, exit) = watch::channel(None);
        tokio::spawn(listen(link.clone(), pidfd.try_clone(), answer, ended));
        Self { id, pid, pidfd, memory, link, answers: Mutex::new(answers), exit }
    }

    /// The sandbox's first answer: its listeners and all descriptors, once the program runs.
    pub(super) async fn ready(&self) -> Result<(Vec<Endpoint>, Vec<OwnedFd>), SpawnError> {
        match self.answers.lock().await.recv().await {
            Some((Report::Ready { listeners }, descriptors)) => Ok((listeners, descriptors)),
            Some((other, _)) => Err(refusal(other)),
            None => Err(SpawnError::Ended),
        }
    }

    async fn add(&self, endpoints: Vec<Endpoint>) -> Result<Vec<(Endpoint, OwnedFd)>, SpawnError> {
        if let Some(reason) = endpoints.iter().find_map(crate::sandbox::endpoints::fault) {
            return Err(SpawnError::Refused { reason });
        }
        let mut answers = self.answers.lock().await;
        // An order whose caller went away may have left its answer.
        while answers.try_recv().is_ok() {}
        self.link.tell(&Order::Add(endpoints)).await?;
        match answers.recv().await {
            Some((Report::Added { listeners }, descriptors)) => {
                Ok(listeners.into_iter().zip(descriptors).collect())
            }
            Some((other, _)) => Err(refusal(other)),
            None => Err(SpawnError::Ended),
        }
    }
}

impl Control for Worker {
    fn id(&self) -> Uuid {
        self.id
    }

    fn kill(&self) {
        if pidfd_send_signal(&self.pidfd, Signal::KILL) == Err(rustix::io::Errno::PERM) {
            // A server without root's rights cannot signal a worker's uid: the end of the control
            // socket tells the sandbox's first process to stop.
            let _ = shutdown(self.link.0.get_ref(), Shutdown::Write);
        }
    }

    fn wait(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.clone();
        async move {
            match exit.wait_for(Option::is_some).await {
                Ok(value) => value.unwrap_or(Exit::Unknown),
                Err(_) => Exit::Unknown,
            }
        }
        .boxed()
    }

    fn is_alive(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut sources = [PollFd::new(&self.pidfd, PollFlags::IN)];
        self.exit.borrow().is_none() && poll(&mut sources, Some(&now)) == Ok(0)
    }

    fn memory_bytes(&self) -> Option<u64> {
        if !self.is_alive() {
            return None;
        }
        match &self.memory {
            Some(directory) => cgroup_bytes(directory),
            None => Some(tree_bytes(self.pid)),
        }
    }

    fn add_endpoints(
        &self,
        endpoints: Vec<Endpoint>,
    ) -> BoxFuture<'_, Result<Vec<(Endpoint, OwnedFd)>, SpawnError>> {
        self.add(endpoints).boxed()
    }
}

/// Hears everything that helper and sandbox say of one worker, to the end.
async fn listen(
    link: Link,
    pidfd: io::Result<OwnedFd>,
    answer: mpsc::Sender<Heard>,
    ended: watch::Sender<Option<Exit>>,
) {
    let mut said = None;
    let exit = loop {
        match link.hear().await {
            Ok(Some((Report::Exited(how), _))) => said = Some(how),
            Ok(Some((Report::Gone { ended, out_of_memory }, _))) => {
                break verdict(said, ended, out_of_memory);
            }
            // Full only if nobody asked: then nobody waits for it either.
            Ok(Some(other)) => drop(answer.try_send(other)),
            Ok(None) | Err(_) => {
                // The helper died; the kernel kills its workers with it. Wait for that.
                if let Ok(pidfd) = pidfd.and_then(|fd| watched(fd, Interest::READABLE)) {
                    let _ = pidfd.readable().await;
                }
                break said.map_or(Exit::Unknown, |how| verdict(Some(how), how, false));
            }
        }
    };
    ended.send_replace(Some(exit));
}

/// `said` is what the sandbox's first process saw of the program; `ended` how that one itself ended.
fn verdict(said: Option<Ended>, ended: Ended, out_of_memory: bool) -> Exit {
    match (said, ended) {
        (Some(Ended::Memory), _) => Exit::Memory,
        (Some(Ended::Signal(libc::SIGKILL)), _) | (None, Ended::Signal(libc::SIGKILL))
            if out_of_memory =>
        {
            Exit::Memory
        }
        (Some(Ended::Code(code)), _) => Exit::Code(code),
        (Some(Ended::Signal(signal)), _) | (None, Ended::Signal(signal)) => Exit::Signal(signal),
        (None, Ended::Code(_) | Ended::Memory) => Exit::Unknown,
    }
}

/// What a cgroup holds, less the file pages that it would give back at once.
fn cgroup_bytes(directory: &Path) -> Option<u64> {
    let read = |file: &str| std::fs::read_to_string(directory.join(file)).ok();
    let used = read("memory.current").or_else(|| read("memory.usage_in_bytes"))?;
    let stat = read("memory.stat").unwrap_or_default();
    let figure = |name: &str| {
        stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
    };
    let spare = figure("total_inactive_file ").or_else(|| figure("inactive_file ")).unwrap_or(0);
    Some(used.trim().parse::<u64>().ok()?.saturating_sub(spare))
}

/// The share of memory of a process and all below it.
fn tree_bytes(pid: i32) -> u64 {
    let mut waiting = vec![pid];
    let mut sum = 0;
    while let Some(pid) = waiting.pop() {
        let process = PathBuf::from(format!("/proc/{pid}"));
        sum += crate::spawn::pss_bytes(&process.join("smaps_rollup")).unwrap_or(0);
        let children = std::fs::read_to_string(process.join(format!("task/{pid}/children")));
        let children = children.unwrap_or_default();
        waiting.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_tells_why_a_worker_ended() {
        use Ended::{Code, Memory, Signal};
        let check = |said, ended, out_of_memory, expect| {
            assert_eq!(verdict(said, ended, out_of_memory), expect, "{said:?} {ended:?}");
        };
        check(Some(Code(3)), Code(0), false, Exit::Code(3));
        check(Some(Signal(11)), Code(0), false, Exit::Signal(11));
        check(Some(Signal(9)), Code(0), true, Exit::Memory);
        check(Some(Signal(9)), Code(0), false, Exit::Signal(9));
        check(Some(Code(0)), Code(0), true, Exit::Code(0));
        check(Some(Memory), Code(0), false, Exit::Memory);
        check(None, Signal(9), false, Exit::Signal(9));
        check(None, Signal(9), true, Exit::Memory);
        check(None, Code(71), false, Exit::Unknown);
    }
}
