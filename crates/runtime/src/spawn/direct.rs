//! A plain child process with no sandbox: for the bench's comparison and the twins of attack tests.
//! Nothing in the product's configuration leads here.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::process::pss_bytes;
use super::{
    Confinement, Control, Endpoint, Exit, Process, Spawn, SpawnError, Spawned, WorkerSpec,
};

/// Starts workers as ordinary children of this process. Limits, root, network and organization
/// of the spec are ignored; argv, environment and descriptors are as in the sandbox.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirectSpawner;

impl Spawn for DirectSpawner {
    fn spawn(&self, spec: WorkerSpec) -> BoxFuture<'_, Result<Spawned, SpawnError>> {
        async move { start(&spec) }.boxed()
    }
}

fn start(spec: &WorkerSpec) -> Result<Spawned, SpawnError> {
    let failed =
        |what| move |error: rustix::io::Errno| SpawnError::Io { what, source: error.into() };
    let flags = SocketFlags::CLOEXEC;
    let (channel, inner) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(failed("make the channel"))?;
    let (stdout, out_write) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("make a pipe"))?;
    let (stderr, err_write) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("make a pipe"))?;
    for end in [&channel, &stdout, &stderr] {
        rustix::io::ioctl_fionbio(end, true).map_err(failed("make a descriptor non-blocking"))?;
    }
    let (program, arguments) = spec
        .argv
        .split_first()
        .ok_or_else(|| SpawnError::Refused { reason: "argv is empty".to_owned() })?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(spec.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::from(out_write))
        .stderr(Stdio::from(err_write))
        .kill_on_drop(true);
    hand_over(&mut command, inner);
    let child =
        command.spawn().map_err(|source| SpawnError::Io { what: "start the program", source })?;
    Ok(Spawned {
        channel,
        stdout,
        stderr,
        process: Process::new(Arc::new(Direct::watch(spec.id, child))),
        listeners: Vec::new(),
        confinement: Confinement::default(),
    })
}

/// Puts the channel at descriptor 3 of the child.
#[expect(unsafe_code, reason = "the only way to place a descriptor in a child of std::process")]
fn hand_over(command: &mut Command, inner: OwnedFd) {
    let place = move || {
        let number = inner.as_raw_fd();
        // SAFETY: plain system calls on a descriptor that this closure owns.
        let done = unsafe {
            if number == 3 { libc::fcntl(3, libc::F_SETFD, 0) } else { libc::dup2(number, 3) }
        };
        if done < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: between fork and exec the closure makes one async-signal-safe system call.
    unsafe { command.pre_exec(place) };
}

#[derive(Debug)]
struct Direct {
    id: Uuid,
    pid: Option<u32>,
    kill: Arc<Notify>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Direct {
    fn watch(id: Uuid, mut child: Child) -> Self {
        let (sender, exit) = watch::channel(None);
        let kill = Arc::new(Notify::new());
        let pid = child.id();
        let asked = Arc::clone(&kill);
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = child.wait() => ended,
                () = asked.notified() => {
                    let _ = child.start_kill();
                    child.wait().await
                }
            };
            sender.send_replace(Some(ended.map_or(Exit::Unknown, how)));
        });
        Self { id, pid, kill, exit }
    }
}

fn how(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

impl Control for Direct {
    fn id(&self) -> Uuid {
        self.id
    }

    fn kill(&self) {
        self.kill.notify_one();
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
        self.exit.borrow().is_none()
    }

    fn memory_bytes(&self) -> Option<u64> {
        let pid = self.pid.filter(|_| self.is_alive())?;
        pss_bytes(Path::new(&format!("/proc/{pid}/smaps_rollup")))
    }

    fn add_endpoints(
        &self,
        _endpoints: Vec<Endpoint>,
    ) -> BoxFuture<'_, Result<Vec<(Endpoint, OwnedFd)>, SpawnError>> {
        async { Ok(Vec::new()) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::spawn::RootSpec;

    #[tokio::test]
    async fn a_direct_child_finds_its_channel_at_descriptor_3() {
        let program = "import os; os.write(3, b'hello'); os._exit(7)";
        let argv = ["/usr/bin/python3", "-c", program].map(str::to_owned).to_vec();
        let spec = WorkerSpec::new(Uuid::nil(), Uuid::nil(), argv, RootSpec::default());
        let spawned = DirectSpawner.spawn(spec).await.unwrap();
        assert_eq!(spawned.process.wait().await, Exit::Code(7));
        assert!(!spawned.process.is_alive());
        let mut channel = UnixStream::from(spawned.channel);
        let mut said = String::new();
        channel.set_nonblocking(false).unwrap();
        channel.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello");
    }

    #[tokio::test]
    async fn kill_ends_a_direct_child() {
        let argv = ["/bin/sleep", "1000"].map(str::to_owned).to_vec();
        let spec = WorkerSpec::new(Uuid::nil(), Uuid::nil(), argv, RootSpec::default());
        let spawned = DirectSpawner.spawn(spec).await.unwrap();
        assert!(spawned.process.is_alive());
        spawned.process.kill();
        assert_eq!(spawned.process.wait().await, Exit::Signal(9));
    }
}
