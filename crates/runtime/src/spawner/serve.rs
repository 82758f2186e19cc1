//! The helper's life: one thread, one loop, until the server closes its socket.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{
    Resource, Rlimit, Signal, WaitOptions, WaitStatus, getrlimit, pidfd_send_signal,
    set_parent_process_death_signal, setrlimit, setsid, wait,
};

use super::SpawnerConfig;
use super::message::{Ended, Greeting, Report, Request, receive, send};
use super::request::{self, Roots};
use super::uids::Uids;
use crate::sandbox::cgroup::{Cgroups, WorkerGroup};
use crate::sandbox::step::{Step, StepError};
use crate::sandbox::tree::Source;
use crate::sandbox::{Plan, sys};
use crate::spawn::{Confinement, Layer, LayerState, NetworkSpec, WorkerSpec};
use clone::Waiting;

mod clone;
mod confinement;
mod ownership;
mod turn;

/// Directories of ended workers that the kernel still holds are tried again this often.
const RETRY_MS: i64 = 20;
/// Rounds of that length at the end.
const LAST_ROUNDS: u32 = 200;

/// Never returns.
pub(super) fn main(die_with_parent: bool) -> ! {
    let code = match begin(die_with_parent) {
        Ok(()) => 0,
        Err(_) => 1,
    };
    sys::exit_now(code)
}

fn begin(die_with_parent: bool) -> io::Result<()> {
    let socket = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 10)?;
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    sys::helper_signals();
    if die_with_parent {
        set_parent_process_death_signal(Some(Signal::USR2))?;
    }
    // Out of the terminal's reach; fails only if it leads a session already.
    let _ = setsid();
    rustix::thread::set_name(c"spawn-helper")?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // Two descriptors per worker: the usual soft limit of 1024 would be too low.
    let descriptors = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: descriptors, maximum: descriptors })?;
    let Some((Request::Configure(config), _)) = receive::<Request>(&socket)? else {
        return Err(io::Error::other("not configured"));
    };
    match State::new(config) {
        Ok(mut state) => {
            send(&socket, &Greeting::Ready(state.confinement.clone()), &[])?;
            state.serve(&socket);
            state.end();
            Ok(())
        }
        Err(greeting) => send(&socket, &greeting, &[]),
    }
}

/// Everything that the helper knows.
struct State {
    config: SpawnerConfig,
    roots: Roots,
    /// Host uids to give away; `None` for whoever has none but its own, which every worker then has.
    uids: Option<Uids>,
    cgroups: Cgroups,
    confinement: Confinement,
    limit_processes: bool,
    filter: bool,
    signals: OwnedFd,
    _turn: Option<File>,
    workers: BTreeMap<i32, Worker>,
    /// Cgroups that could not be removed yet.
    leftovers: Vec<WorkerGroup>,
}

/// A sandbox that lives, by the pid of its first process.
struct Worker {
    pidfd: OwnedFd,
    /// The sandbox's end of the control socket: the last word on it is ours.
    control: OwnedFd,
    uid: Option<u32>,
    group: WorkerGroup,
}

impl State {
    fn new(config: SpawnerConfig) -> Result<Self, Greeting> {
        let roots = Roots::new(&config).map_err(|reason| Greeting::Refused { reason })?;
        let turn = config.lock.as_deref().map(turn::wait).transpose();
        let turn = turn.map_err(|reason| Greeting::Refused { reason })?;
        let failed = |StepError { step, errno }| Greeting::Failed { step, errno };
        let uids = rustix::process::geteuid().is_root().then(|| {
            let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
            Uids::new(config.uids, config.instance, &map)
        });
        let uids = uids.filter(|uids| !uids.is_empty());
        let root = uids.is_some();
        clone::try_once().map_err(failed)?;
        let cgroups = Cgroups::prepare(config.instance);
        let limit_processes = confinement::counts_per_namespace() || root;
        let filter = sys::can_filter_calls();
        let confinement = confinement::report(&cgroups, root, limit_processes, &filter);
        clone::keep_capabilities(root).map_err(failed)?;
        let signals = sys::child_signals().step("watch for children").map_err(failed)?;
        Ok(Self {
            config,
            roots,
            uids,
            cgroups,
            confinement,
            limit_processes,
            filter: filter.is_ok(),
            signals,
            _turn: turn,
            workers: BTreeMap::new(),
            leftovers: Vec::new(),
        })
    }

    fn serve(&mut self, socket: &OwnedFd) {
        loop {
            self.reap();
            let timeout = Timespec { tv_sec: 0, tv_nsec: RETRY_MS * 1_000_000 };
            let timeout = (!self.leftovers.is_empty()).then_some(&timeout);
            let mut sources =
                [PollFd::new(socket, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
            let _ = poll(&mut sources, timeout);
            let [requests, children] = &sources;
            let (asked, ended) = (!requests.revents().is_empty(), !children.revents().is_empty());
            if ended {
                let mut bytes = [0u8; 1024];
                let _ = rustix::io::read(&self.signals, &mut bytes);
            }
            if asked {
                match receive::<Request>(socket) {
                    Ok(Some((Request::Spawn(spec), descriptors))) => self.spawn(*spec, descriptors),
                    // A second configuration or what is no request at all: nobody to trust.
                    Ok(Some((Request::Configure(_), _))) | Ok(None) | Err(_) => return,
                }
            }
        }
    }

    /// Answers on the worker's control socket, whatever happens.
    fn spawn(&mut self, spec: WorkerSpec, descriptors: Vec<OwnedFd>) {
        let Some(control) = descriptors.into_iter().next() else { return };
        let refusal = match self.try_spawn(spec, &control) {
            Ok(()) => return,
            Err(refusal) => refusal,
        };
        let _ = send(&control, &refusal, &[]);
    }

    fn try_spawn(&mut self, spec: WorkerSpec, control: &OwnedFd) -> Result<(), Report> {
        let failed = |StepError { step, errno }| Report::Failed { step, errno };
        let sources =
            request::check(&spec, &self.roots).map_err(|reason| Report::Refused { reason })?;
        if self.workers.len() >= usize::try_from(self.config.max_workers).unwrap_or(usize::MAX) {
            let what = format!("{} workers live", self.workers.len());
            return Err(Report::Exhausted { what });
        }
        let uid = match &mut self.uids {
            None => None,
            Some(uids) => Some(uids.take(spec.organization).ok_or_else(|| Report::Exhausted {
                what: "every host uid for workers is taken".to_owned(),
            })?),
        };
        let mut confinement = self.confinement.clone();
        if spec.network == NetworkSpec::Unconfined {
            confinement.set(Layer::Network, LayerState::Off("the host's, unconfined".to_owned()));
        }
        let started = self.start(spec, sources, uid, control);
        let (pid, worker, go) = started.map_err(|error| {
            if let (Some(uids), Some(uid)) = (&mut self.uids, uid) {
                uids.give_back(uid);
            }
            failed(error)
        })?;
        let memory = worker.group.memory_directory().map(ToOwned::to_owned);
        let accepted = Report::Accepted { pid, memory, confinement };
        let _ = send(control, &accepted, &[worker.pidfd.as_fd()]);
        self.workers.insert(pid, worker);
        // Only now: on the control socket our word has to come before the sandbox's own. If it is
        // dead already, that is found like every other end.
        let _ = rustix::io::write(&go, b"g");
        Ok(())
    }

    fn start(
        &mut self,
        spec: WorkerSpec,
        sources: Vec<Source>,
        uid: Option<u32>,
        control: &OwnedFd,
    ) -> Result<(i32, Worker, OwnedFd), StepError> {
        let last_word = fcntl_dupfd_cloexec(control, 10).step("copy the control socket")?;
        let (mut group, entry) =
            self.cgroups.make(spec.id, &spec.limits).step("make the cgroup")?;
        let plan = Plan {
            spec,
            sources,
            trees: None,
            own_uid: uid.is_some(),
            watch_memory: group.memory_directory().is_none(),
            limit_processes: self.limit_processes,
            filter: self.filter,
            join: entry.join,
        };
        match clone::start(plan, uid, entry.into, control) {
            Ok(Waiting { pid, pidfd, go }) => {
                Ok((pid, Worker { pidfd, control: last_word, uid, group }, go))
            }
            Err(error) => {
                if !group.remove() {
                    self.leftovers.push(group);
                }
                Err(error)
            }
        }
    }

    /// Takes note of every sandbox that has ended, and tells its server.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let Some(mut worker) = self.workers.remove(&pid.as_raw_nonzero().get()) else {
                continue;
            };
            let out_of_memory = worker.group.out_of_memory();
            if let (Some(uids), Some(uid)) = (&mut self.uids, worker.uid) {
                uids.give_back(uid);
            }
            if !worker.group.remove() {
                self.leftovers.push(worker.group);
            }
            let gone = Report::Gone { ended: how(status), out_of_memory };
            let _ = send(&worker.control, &gone, &[]);
        }
        self.leftovers.retain_mut(|group| !group.remove());
    }

    /// The server has gone: so does everything else. What the kernel does not let go of within
    /// some seconds is swept at the next start.
    fn end(&mut self) {
        for worker in self.workers.values() {
            let _ = pidfd_send_signal(&worker.pidfd, Signal::KILL);
        }
        for _ in 0..LAST_ROUNDS {
            self.reap();
            if self.workers.is_empty() && self.leftovers.is_empty() {
                break;
            }
            let timeout = Timespec { tv_sec: 0, tv_nsec: RETRY_MS * 1_000_000 };
            let _ = poll(&mut [PollFd::new(&self.signals, PollFlags::IN)], Some(&timeout));
            let mut bytes = [0u8; 1024];
            let _ = rustix::io::read(&self.signals, &mut bytes);
        }
        self.cgroups.remove();
    }
}

fn how(status: WaitStatus) -> Ended {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, signal) => Ended::Signal(signal.unwrap_or(libc::SIGKILL)),
    }
}
