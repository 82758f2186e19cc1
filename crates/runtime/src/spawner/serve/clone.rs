//! The clone itself: namespaces, identity maps, and the word to go.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, pidfd_send_signal, waitpid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

use super::ownership;
use crate::sandbox::step::{Step, StepError};
use crate::sandbox::sys::{self, Cloned};
use crate::sandbox::{INSIDE_ID, Plan, run, tree};
use crate::spawn::NetworkSpec;

const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// A sandbox's first process that waits for the word to go: a byte on `go`.
pub(super) struct Waiting {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) go: OwnedFd,
}

/// Clones a sandbox's first process and settles its identity.
pub(super) fn start(
    mut plan: Plan,
    uid: Option<u32>,
    cgroup: Option<OwnedFd>,
    control: &OwnedFd,
) -> Result<Waiting, StepError> {
    if let Some(uid) = uid {
        // The clone could not enter directories that are closed to its uid: root opens for it.
        let trees: Vec<OwnedFd> =
            plan.sources.iter().map(tree::detach).collect::<Result<_, _>>()?;
        ownership::map_writable(&plan.sources, &trees, uid)?;
        plan.trees = Some(trees);
    }
    let network = match plan.spec.network {
        NetworkSpec::Unconfined => 0,
        NetworkSpec::None | NetworkSpec::Bound(_) => libc::CLONE_NEWNET,
    };
    let (hear, go) = pipe_with(PipeFlags::CLOEXEC).step("make a pipe")?;
    let cgroup = cgroup.as_ref().map(std::os::fd::AsFd::as_fd);
    match sys::clone_with(NAMESPACES | network, cgroup).step("make namespaces")? {
        Cloned::Child => {
            drop(go);
            let control = control.try_clone();
            match control {
                Ok(control) => run(plan, control, hear),
                Err(_) => sys::exit_now(74),
            }
        }
        Cloned::Parent { pid, pidfd } => match map_identity(pid, uid) {
            Ok(()) => Ok(Waiting { pid, pidfd, go }),
            Err(error) => {
                end(pid, &pidfd);
                Err(error)
            }
        },
    }
}

/// A sandbox with nothing in it, to learn at the start whether this machine allows them.
pub(super) fn try_once() -> Result<(), StepError> {
    let (hear, go) = pipe_with(PipeFlags::CLOEXEC).step("make a pipe")?;
    let cloned = sys::clone_with(NAMESPACES | libc::CLONE_NEWNET, None);
    match cloned.step("make namespaces")? {
        Cloned::Child => {
            drop(go);
            let _ = rustix::io::read(&hear, &mut [0u8; 1]);
            let outcome = crate::sandbox::try_mounts();
            // An error number fits into an exit code.
            sys::exit_now(outcome.map_or_else(|error| error.errno, |()| 0))
        }
        Cloned::Parent { pid, pidfd } => {
            let mapped = map_identity(pid, None);
            drop(go);
            if mapped.is_err() {
                end(pid, &pidfd);
                return mapped;
            }
            match reap(pid).and_then(|status| status.exit_status()) {
                Some(0) => Ok(()),
                code => Err(StepError {
                    step: "mount a /proc of its own".to_owned(),
                    errno: code.unwrap_or(libc::EIO),
                }),
            }
        }
    }
}

pub(super) fn end(pid: i32, pidfd: &OwnedFd) {
    let _ = pidfd_send_signal(pidfd, Signal::KILL);
    let _ = reap(pid);
}

fn reap(pid: i32) -> Option<WaitStatus> {
    let wait = || waitpid(Pid::from_raw(pid), WaitOptions::empty());
    rustix::io::retry_on_intr(wait).ok().flatten().map(|(_, status)| status)
}

/// Uid and gid 1000 inside are one host uid outside: the worker's own, or this process's.
fn map_identity(pid: i32, uid: Option<u32>) -> Result<(), StepError> {
    let inside = (INSIDE_ID, INSIDE_ID);
    match uid {
        Some(uid) => write_maps(pid, inside, (uid, uid))?,
        None => {
            // Who may not set groups outside may only map without setting them inside.
            write(pid, "setgroups", "deny")?;
            let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            write_maps(pid, inside, own)?;
        }
    }
    // When the host runs out of memory, workers go before servers and databases.
    write(pid, "oom_score_adj", "500")
}

/// One user and one group of a new user namespace.
pub(super) fn write_maps(
    pid: i32,
    inside: (u32, u32),
    outside: (u32, u32),
) -> Result<(), StepError> {
    write(pid, "uid_map", &format!("{} {} 1", inside.0, outside.0))?;
    write(pid, "gid_map", &format!("{} {} 1", inside.1, outside.1))
}

fn write(pid: i32, file: &str, text: &str) -> Result<(), StepError> {
    fs::write(format!("/proc/{pid}/{file}"), text).step_on("write", &file)
}

/// What the helper needs as root: making namespaces, giving identities, reaching layers in a data
/// directory that is closed to others, and removing cgroups from directories of mode 0555.
pub(super) fn keep_capabilities(root: bool) -> Result<(), StepError> {
    set_no_new_privs(true).step("set no_new_privs")?;
    let kept = if root {
        CapabilitySet::SYS_ADMIN
            | CapabilitySet::SETUID
            | CapabilitySet::SETGID
            | CapabilitySet::NET_ADMIN
            | CapabilitySet::DAC_OVERRIDE
    } else {
        // What the root of a container needs, to remove cgroups and to map a uid that is 0 there;
        // an ordinary user has nothing.
        let own = capabilities(None).step("look at capabilities")?;
        own.permitted & (CapabilitySet::DAC_OVERRIDE | CapabilitySet::SETFCAP)
    };
    for capability in CapabilitySet::all().difference(kept).iter() {
        match remove_capability_from_bounding_set(capability) {
            // One that this kernel does not know, and a user who has none to give up.
            Err(rustix::io::Errno::INVAL) => {}
            Err(rustix::io::Errno::PERM) if !root => {}
            other => other.step("empty the bounding set")?,
        }
    }
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).step("give up capabilities")
}
