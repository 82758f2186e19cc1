//! The sandbox of one worker, from inside: what the helper's clone does until the program runs, and
//! the first process that stays with it.
//!
//! Why a first process of our own and not the worker itself: a first process ignores signals that it
//! does not handle, has to reap orphans, and takes the whole namespace with it when it ends. Ours
//! does that in 100 lines, adds endpoints to a running worker, watches memory where no cgroup does,
//! and cannot be seen, traced or signalled by the worker. It costs one fork.
//!
//! Not here: a seccomp filter of all system calls and Landlock, which come later;
//! [`crate::spawn::Confinement`] says so.

pub(crate) mod cgroup;
pub(crate) mod endpoints;
mod etc;
mod filter;
mod init;
mod memory;
mod netlink;
mod proc;
mod program;
mod root;
pub(crate) mod step;
pub(crate) mod sys;
pub(crate) mod tree;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{
    DumpableBehavior, Gid, Signal, Uid, set_dumpable_behavior, set_parent_process_death_signal,
    setsid, umask,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

pub(crate) use etc::INSIDE_ID;
pub(crate) use root::DEVICES;
use step::{Step, StepError};
use tree::Source;

use crate::spawn::{Endpoint, NetworkSpec, WorkerSpec};
use crate::spawner::message::{Report, send};
use endpoints::Endpoints;

/// Everything that the helper has settled before the clone.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) spec: WorkerSpec,
    pub(crate) sources: Vec<Source>,
    /// One per source where the helper opened them (as root); otherwise the sandbox does.
    pub(crate) trees: Option<Vec<OwnedFd>>,
    /// Whether supplementary groups can be given up: a uid of its own, not the user's.
    pub(crate) own_uid: bool,
    /// No cgroup bounds the memory.
    pub(crate) watch_memory: bool,
    /// RLIMIT_NPROC counts this namespace alone.
    pub(crate) limit_processes: bool,
    /// This machine can filter system calls.
    pub(crate) filter: bool,
    /// Files of cgroup v1 into which the sandbox writes itself.
    pub(crate) join: Vec<OwnedFd>,
}

/// The clone's life: builds the sandbox, runs the program, and ends with it.
pub(crate) fn run(plan: Plan, control: OwnedFd, go: OwnedFd) -> ! {
    let outcome =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| live(plan, &control, go)));
    match outcome {
        Ok(Ok(())) => sys::exit_now(0),
        Ok(Err(StepError { step, errno })) => {
            let _ = send(&control, &Report::Failed { step, errno }, &[]);
            sys::exit_now(70)
        }
        Err(_) => sys::exit_now(71),
    }
}

/// What a machine may forbid inside of namespaces that it allows.
pub(crate) fn try_mounts() -> Result<(), StepError> {
    root::make_private()?;
    proc::detached().map(drop)
}

fn live(mut plan: Plan, control: &OwnedFd, go: OwnedFd) -> Result<(), StepError> {
    keep_only(&plan, control, &go)?;
    wait_for(&go)?;
    drop(go);
    for file in plan.join.drain(..) {
        rustix::io::write(&file, b"0").step("join the cgroup")?;
    }
    root::make_private()?;
    let trees = match plan.trees.take() {
        Some(trees) => trees,
        None => plan.sources.iter().map(tree::detach).collect::<Result<_, _>>()?,
    };
    become_inside(&plan)?;
    let network = !matches!(plan.spec.network, NetworkSpec::Unconfined);
    rustix::system::sethostname(b"function").step("set the host name")?;
    rustix::system::setdomainname(b"").step("set the domain name")?;
    if network {
        netlink::loopback_up().step("bring up loopback")?;
    }
    let links = std::mem::take(&mut plan.spec.root.base.links);
    let hosts = root::build(&plan.sources, &trees, &links, plan.spec.limits.tmp_bytes)?;
    drop(trees);
    null_streams()?;
    let mut endpoints = Endpoints::new(hosts);
    let listeners = match &plan.spec.network {
        NetworkSpec::Bound(list) => endpoints.add(list)?,
        NetworkSpec::None | NetworkSpec::Unconfined => Vec::new(),
    };
    let signals = sys::child_signals().step("watch for children")?;
    let started = program::start(&plan)?;
    few_capabilities()?;
    announce(control, &started, &listeners)?;
    let worker = started.pid;
    drop((started, listeners));
    init::stay(
        control,
        &signals,
        worker,
        &mut endpoints,
        plan.watch_memory.then_some(plan.spec.limits),
    );
    Ok(())
}

/// Nothing of the helper's stays open: not the server's socket, not other workers' controls.
fn keep_only(plan: &Plan, control: &OwnedFd, go: &OwnedFd) -> Result<(), StepError> {
    null_streams()?;
    let mut keep = vec![control.as_raw_fd(), go.as_raw_fd()];
    keep.extend(plan.join.iter().map(AsRawFd::as_raw_fd));
    keep.extend(plan.trees.iter().flatten().map(AsRawFd::as_raw_fd));
    sys::close_all_except(&keep);
    Ok(())
}

/// Standard streams of the root that this process is in.
fn null_streams() -> Result<(), StepError> {
    let null =
        open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).step("open null")?;
    rustix::stdio::dup2_stdin(&null).step("replace stdin")?;
    rustix::stdio::dup2_stdout(&null).step("replace stdout")?;
    rustix::stdio::dup2_stderr(&null).step("replace stderr")
}

/// The helper says go once the identity maps are written; its end without a word means stop.
fn wait_for(go: &OwnedFd) -> Result<(), StepError> {
    let mut byte = [0u8; 1];
    match rustix::io::retry_on_intr(|| rustix::io::read(go, &mut byte))
        .step("wait for the helper")?
    {
        0 => sys::exit_now(72),
        _ => Ok(()),
    }
}

/// Takes the inner identity and keeps the namespace's capabilities for the building.
fn become_inside(plan: &Plan) -> Result<(), StepError> {
    if plan.own_uid {
        set_thread_groups(&[]).step("give up groups")?;
    }
    let (uid, gid) = (Uid::from_raw(INSIDE_ID), Gid::from_raw(INSIDE_ID));
    set_thread_res_gid(gid, gid, gid).step("take the group")?;
    set_thread_res_uid(uid, uid, uid).step("take the user")?;
    // After the change of user, which clears it. The helper may have died before this line: then
    // the server's end of the control socket closes too, and the first poll ends this process.
    set_parent_process_death_signal(Some(Signal::KILL)).step("die with the helper")?;
    // Maps are written; from here on nobody inside may trace or inspect this process.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).step("forbid tracing")?;
    set_no_new_privs(true).step("set no_new_privs")?;
    sys::new_session_keyring();
    setsid().step("start a session")?;
    umask(Mode::from_raw_mode(0o022));
    Ok(())
}

/// What the first process needs later: addresses and low ports for endpoints, looking at memory.
fn few_capabilities() -> Result<(), StepError> {
    let kept =
        CapabilitySet::NET_ADMIN | CapabilitySet::NET_BIND_SERVICE | CapabilitySet::SYS_PTRACE;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).step("give up capabilities")
}

fn announce(
    control: &OwnedFd,
    started: &program::Started,
    listeners: &[(Endpoint, OwnedFd)],
) -> Result<(), StepError> {
    let mut descriptors =
        vec![started.channel.as_fd(), started.stdout.as_fd(), started.stderr.as_fd()];
    descriptors.extend(listeners.iter().map(|(_, fd)| fd.as_fd()));
    let listeners = listeners.iter().map(|(endpoint, _)| endpoint.clone()).collect();
    send(control, &Report::Ready { listeners }, &descriptors).step("report to the server")
}
