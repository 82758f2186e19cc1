//! Limits through cgroups, version 1, 2 or both (hybrid), wherever the helper may write them.
//!
//! One directory `dispatch-<instance>` per hierarchy, in it one per worker, named by its id. What
//! is missing is told in words, for the confinement report; nothing here is fatal.

mod find;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use uuid::Uuid;

use crate::spawn::Limits;
use find::Found;

/// What a cgroup can bound for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Pids,
    Cpu,
}

impl Controller {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// The directory in which one controller's worker directories are made.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) controller: Controller,
    pub(crate) version: Version,
    directory: PathBuf,
}

/// The cgroups of this server's workers.
#[derive(Debug)]
pub(crate) struct Cgroups {
    places: Vec<Place>,
    missing: Vec<(Controller, String)>,
}

/// One worker's directories.
#[derive(Debug)]
pub(crate) struct WorkerGroup {
    directories: Vec<PathBuf>,
    memory: Option<(Version, PathBuf)>,
}

/// How a process gets into a worker's cgroups.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// For `CLONE_INTO_CGROUP`.
    pub(crate) into: Option<OwnedFd>,
    /// Version 1: the process writes `0` here. That spares the lock (and the milliseconds) which
    /// moving another process takes.
    pub(crate) join: Vec<OwnedFd>,
}

/// Where groups with a controller could be made, best first, or why nowhere. Nothing is made or tried.
pub(crate) fn candidates(controller: Controller) -> Result<(Version, Vec<PathBuf>), String> {
    let all = find::candidates().into_iter().find(|found| found.controller == controller);
    let Some(Found { candidates, reason, .. }) = all else {
        return Err("not looked for".to_owned());
    };
    let Some((version, _)) = candidates.first() else { return Err(reason) };
    Ok((*version, candidates.iter().map(|(_, path)| path.clone()).collect()))
}

impl Cgroups {
    /// Finds and prepares a place for each controller, after removing what a predecessor of the
    /// same instance left there.
    pub(crate) fn prepare(instance: Uuid) -> Self {
        let mut places: Vec<Place> = Vec::new();
        let mut missing = Vec::new();
        for Found { controller, candidates, reason } in find::candidates() {
            let mut why = reason;
            let place = candidates.into_iter().find_map(|(version, parent)| {
                match open_place(controller, version, &parent, instance) {
                    Ok(place) => Some(place),
                    Err(error) => {
                        why = format!("{}: {error}", parent.display());
                        None
                    }
                }
            });
            match place {
                Some(place) => places.push(place),
                None => missing.push((controller, why)),
            }
        }
        Self { places, missing }
    }

    /// By what version a controller works, or why it does not.
    pub(crate) fn state(&self, controller: Controller) -> Result<Version, &str> {
        if let Some(place) = self.places.iter().find(|place| place.controller == controller) {
            return Ok(place.version);
        }
        let reason = self.missing.iter().find(|(missing, _)| *missing == controller);
        Err(reason.map_or("not looked for", |(_, why)| why.as_str()))
    }

    /// Makes a worker's directories with its limits.
    pub(crate) fn make(&self, id: Uuid, limits: &Limits) -> io::Result<(WorkerGroup, Entry)> {
        let mut group = WorkerGroup { directories: Vec::new(), memory: None };
        match self.fill(&mut group, id, limits) {
            Ok(entry) => Ok((group, entry)),
            Err(error) => {
                group.remove();
                Err(error)
            }
        }
    }

    fn fill(&self, group: &mut WorkerGroup, id: Uuid, limits: &Limits) -> io::Result<Entry> {
        let mut entry = Entry::default();
        for place in &self.places {
            let directory = place.directory.join(id.to_string());
            if !group.directories.contains(&directory) {
                fs::create_dir(&directory)?;
                group.directories.push(directory.clone());
                match place.version {
                    Version::V1 => {
                        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
                        let tasks = directory.join("tasks");
                        entry.join.push(open(&tasks, flags, Mode::empty())?);
                    }
                    Version::V2 => {
                        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                        entry.into = Some(open(&directory, flags, Mode::empty())?);
                    }
                }
            }
            set_limit(place, &directory, limits)?;
            if place.controller == Controller::Memory {
                group.memory = Some((place.version, directory));
            }
        }
        Ok(entry)
    }

    /// Removes this instance's own directories; they must be empty of workers.
    pub(crate) fn remove(&self) {
        for place in &self.places {
            let _ = fs::remove_dir(&place.directory);
        }
    }
}

impl WorkerGroup {
    /// The directory with this worker's memory figures.
    pub(crate) fn memory_directory(&self) -> Option<&Path> {
        self.memory.as_ref().map(|(_, directory)| directory.as_path())
    }

    /// Whether the kernel ended a process of this worker for its memory.
    pub(crate) fn out_of_memory(&self) -> bool {
        let Some((version, directory)) = &self.memory else { return false };
        let file = match version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.is_some_and(|count| count.trim() != "0")
    }

    /// Removes the directories; `false` if a process is still on its way out and it must be tried again.
    pub(crate) fn remove(&mut self) -> bool {
        self.directories.retain(|directory| match fs::remove_dir(directory) {
            Ok(()) => false,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        });
        self.directories.is_empty()
    }
}

fn open_place(
    controller: Controller,
    version: Version,
    parent: &Path,
    instance: Uuid,
) -> io::Result<Place> {
    let directory = parent.join(format!("dispatch-{instance}"));
    if version == Version::V2 {
        find::enable(parent, controller.name())?;
    }
    match fs::create_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => sweep(&directory),
        other => other?,
    }
    if version == Version::V2 {
        find::enable(&directory, controller.name())?;
    }
    let place = Place { controller, version, directory };
    // Only what can really be written counts.
    let probe = place.directory.join("probe");
    fs::create_dir(&probe)?;
    let written = set_limit(&place, &probe, &Limits::default());
    fs::remove_dir(&probe)?;
    written.map(|()| place)
}

fn set_limit(place: &Place, directory: &Path, limits: &Limits) -> io::Result<()> {
    let write = |file: &str, value: &str| fs::write(directory.join(file), value);
    let bytes = limits.memory_bytes.to_string();
    match (place.controller, place.version) {
        (Controller::Memory, Version::V1) => {
            write("memory.limit_in_bytes", &bytes)?;
            optional(write("memory.memsw.limit_in_bytes", &bytes))
        }
        (Controller::Memory, Version::V2) => {
            write("memory.max", &bytes)?;
            optional(write("memory.swap.max", "0"))
        }
        // The sandbox's own first process counts too.
        (Controller::Pids, _) => write("pids.max", &(u64::from(limits.processes) + 1).to_string()),
        (Controller::Cpu, Version::V1) => {
            write("cpu.cfs_period_us", "100000")?;
            write("cpu.cfs_quota_us", &(u64::from(limits.cpu_millis) * 100).to_string())
        }
        (Controller::Cpu, Version::V2) => {
            write("cpu.max", &format!("{} 100000", u64::from(limits.cpu_millis) * 100))
        }
    }
}

/// Files that exist only where swap is accounted.
fn optional(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Ends and removes what an earlier server of the same instance left in its directory.
fn sweep(directory: &Path) {
    let workers = fs::read_dir(directory).into_iter().flatten().flatten();
    for worker in workers.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let path = worker.path();
        // Bounded: a fork bomb cannot outrun it, because pids.max holds there too.
        for _ in 0..100 {
            if fs::remove_dir(&path).is_ok() {
                break;
            }
            end_all_in(&path);
        }
    }
}

fn end_all_in(directory: &Path) {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    for pid in text.lines().filter_map(|line| line.parse().ok()).filter_map(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
    rustix::thread::sched_yield();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::sys::{self, Cloned};

    /// A new directory of version 2, if it is mounted and this process may make one.
    fn version_2(name: &str) -> Option<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let line = mounts.lines().find(|line| line.starts_with("cgroup2 "));
        let root = line.and_then(|line| line.split(' ').nth(1)).map(PathBuf::from);
        let directory = root?.join(format!("dispatch-test-{name}-{}", std::process::id()));
        match fs::create_dir(&directory) {
            Ok(()) => Some(directory),
            Err(error) => {
                dispatch_testkit::skip_here(&format!("{}: {error}", directory.display()));
                None
            }
        }
    }

    #[test]
    fn a_directory_that_holds_only_the_server_gets_a_leaf_for_it() {
        // Any controller will do that version 1 has not taken.
        let Some(directory) = version_2("leaf") else { return };
        let root = directory.parent().unwrap();
        let offered = fs::read_to_string(root.join("cgroup.controllers")).unwrap();
        let free = ["memory", "hugetlb", "io", "rdma"];
        let Some(name) = free.iter().find(|name| offered.contains(*name)) else {
            dispatch_testkit::skip_here(&format!("version 2 has no free controller: {offered}"));
            return fs::remove_dir(&directory).unwrap();
        };
        let before = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap();
        find::enable(root, name).unwrap();
        let (hear, go) = rustix::pipe::pipe().unwrap();
        let (listen, answer) = rustix::pipe::pipe().unwrap();
        let pid = match sys::fork().unwrap() {
            None => {
                let entered = fs::write(directory.join("cgroup.procs"), "0");
                let enabled = entered.and_then(|()| find::enable(&directory, name));
                let word: &[u8] = if enabled.is_ok() { b"y" } else { b"n" };
                let _ = rustix::io::write(&answer, word);
                let _ = rustix::io::read(&hear, &mut [0u8; 1]);
                sys::exit_now(0)
            }
            Some(pid) => pid,
        };
        let mut word = [0u8; 1];
        rustix::io::read(&listen, &mut word).unwrap();
        let enabled = fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap();
        let leaf = directory.join("dispatch-server");
        let moved = fs::read_to_string(leaf.join("cgroup.procs")).unwrap_or_default();
        rustix::io::write(&go, b"g").unwrap();
        rustix::process::waitpid(Pid::from_raw(pid), rustix::process::WaitOptions::empty())
            .unwrap();
        let _ = (fs::remove_dir(&leaf), fs::remove_dir(&directory));
        if !before.contains(name) {
            fs::write(root.join("cgroup.subtree_control"), format!("-{name}")).unwrap();
        }
        assert_eq!(&word, b"y");
        assert!(enabled.contains(name), "{enabled}");
        assert_eq!(moved.trim(), pid.to_string());
    }

    #[test]
    fn a_clone_begins_its_life_in_a_directory_of_version_2() {
        let Some(directory) = version_2("clone") else { return };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let into = open(&directory, flags, Mode::empty()).unwrap();
        let (hear, go) = rustix::pipe::pipe().unwrap();
        match sys::clone_with(0, Some(std::os::fd::AsFd::as_fd(&into))).unwrap() {
            Cloned::Child => {
                let _ = rustix::io::read(&hear, &mut [0u8; 1]);
                sys::exit_now(0)
            }
            Cloned::Parent { pid, .. } => {
                let inside = fs::read_to_string(directory.join("cgroup.procs")).unwrap();
                assert_eq!(inside.trim(), pid.to_string());
                let mut group = WorkerGroup { directories: vec![directory.clone()], memory: None };
                assert!(!group.remove(), "a process lives in it");
                rustix::io::write(&go, b"g").unwrap();
                let pid = Pid::from_raw(pid);
                rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
                assert!(group.remove());
                assert!(!directory.exists());
            }
        }
    }
}
