//! Starting the helper, and being it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::SpawnerConfig;
use super::message::{Greeting, Request, receive, send};
use super::serve;
use crate::spawn::Confinement;

/// First argument of the helper. Not for people: hidden, and useless without the socket.
const ASKED: &str = "--dispatch-spawn-helper";
/// Second argument, where the starting thread lives as long as the process.
const DIE_WITH_PARENT: &str = "die-with-parent";

/// Longer than any machine takes to start a process.
const GREETING_TIMEOUT_S: u64 = 20;

/// Why the helper could not be started. Each reads after "failed to start the spawn helper: ".
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{what}")]
    Io {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// The configuration names what cannot be.
    #[error("{reason}")]
    Refused { reason: String },
    /// The helper ended or said nothing.
    #[error("it did not answer")]
    Silent,
    /// This machine does not let us make sandboxes. `hint` says what to change.
    #[error("this machine does not let it {step}: {hint}")]
    NoSandbox { step: String, hint: &'static str, source: io::Error },
}

/// A started helper, from the server's side.
#[derive(Debug)]
pub struct Helper {
    pub(super) socket: OwnedFd,
    pub(super) child: Child,
    confinement: Confinement,
}

impl Helper {
    /// What every worker of this helper will be held by.
    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// The helper's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Becomes the spawn helper, and never returns, if this process was started as one. To be called
/// as the very first act of `main`.
pub fn main_if_asked() {
    // Not `std::env::args`: in tests this runs before the standard library has them.
    let line = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0).skip(1);
    if words.next() == Some(ASKED.as_bytes()) {
        serve::main(words.next() == Some(DIE_WITH_PARENT.as_bytes()));
    }
}

/// Starts the helper as a second copy of this executable and waits until it is ready. To be called
/// before the process has threads or secrets.
///
/// The helper is also ended by the kernel when the calling thread ends, if that is the main thread;
/// from other threads (tests) it only ends with the socket.
pub fn start(config: &SpawnerConfig) -> Result<Helper, StartError> {
    let failed = |what| move |source: io::Error| StartError::Io { what, source };
    let (socket, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|errno| failed("make its socket")(errno.into()))?;
    let child = Command::new(PathBuf::from("/proc/self/exe"))
        .arg0("dispatch-spawn-helper")
        .arg(ASKED)
        .args(is_main_thread().then_some(DIE_WITH_PARENT))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .map_err(failed("start this executable again"))?;
    let mut helper = Helper { socket, child, confinement: Confinement::default() };
    match greet(&helper.socket, config) {
        Ok(confinement) => {
            helper.confinement = confinement;
            Ok(helper)
        }
        Err(error) => {
            let _ = helper.child.kill();
            let _ = helper.child.wait();
            Err(error)
        }
    }
}

fn is_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

fn greet(socket: &OwnedFd, config: &SpawnerConfig) -> Result<Confinement, StartError> {
    let failed = |what| move |source: io::Error| StartError::Io { what, source };
    let timeout = Some(Duration::from_secs(GREETING_TIMEOUT_S));
    for which in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(socket, which, timeout)
            .map_err(|errno| failed("bound its answer")(errno.into()))?;
    }
    send(socket.as_fd(), &Request::Configure(config.clone()), &[])
        .map_err(failed("configure it"))?;
    match receive::<Greeting>(socket.as_fd()) {
        Ok(Some((Greeting::Ready(confinement), _))) => Ok(confinement),
        Ok(Some((Greeting::Refused { reason }, _))) => Err(StartError::Refused { reason }),
        Ok(Some((Greeting::Failed { step, errno }, _))) => Err(StartError::NoSandbox {
            hint: hint(&step, errno),
            step,
            source: io::Error::from_raw_os_error(errno),
        }),
        Ok(None) => Err(StartError::Silent),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(StartError::Silent),
        Err(source) => Err(StartError::Io { what: "hear from it", source }),
    }
}

fn hint(step: &str, errno: i32) -> &'static str {
    match errno {
        libc::EPERM if step.contains("/proc") => {
            "this is a container that hides parts of /proc, so that none can be mounted inside: \
             start it with its /proc unmasked (Docker: --security-opt systempaths=unconfined)"
        }
        libc::EPERM | libc::EACCES => {
            "the kernel refuses user namespaces to this user: look at the sysctls \
             kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns, or \
             start the server as root"
        }
        libc::ENOSPC => "the sysctl user.max_user_namespaces (or another user.max_*) is too low",
        libc::ENOSYS | libc::EINVAL => "Linux 5.12 or newer with namespaces is needed",
        _ => "see the error before it",
    }
}
