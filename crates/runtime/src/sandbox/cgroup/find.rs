//! Where cgroups may be made: read from /proc/self/mountinfo and /proc/self/cgroup.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Controller, Version};

/// Where one controller's cgroups may be made, best first, or why nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) controller: Controller,
    pub(super) candidates: Vec<(Version, PathBuf)>,
    pub(super) reason: String,
}

/// Looks at this machine.
pub(super) fn candidates() -> Vec<Found> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let available = |directory: &Path, controller: Controller| {
        let text = fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
        text.split_whitespace().any(|name| name == controller.name())
    };
    locate(&mounts, &own, &available)
}

/// Pure but for `available`: whether a v2 directory offers a controller.
fn locate(mounts: &str, own: &str, available: &dyn Fn(&Path, Controller) -> bool) -> Vec<Found> {
    let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
    let find = |controller: Controller| {
        let mut candidates = Vec::new();
        let mut reason = format!("no cgroup hierarchy with {} is mounted", controller.name());
        for mount in &mounts {
            let (version, path) = match mount.kind {
                "cgroup" if mount.options.split(',').any(|o| o == controller.name()) => {
                    (Version::V1, own_path(own, Some(controller.name())))
                }
                "cgroup2" => (Version::V2, own_path(own, None)),
                _ => continue,
            };
            let here = path.and_then(|path| mount.directory_of(path));
            for directory in here.into_iter().chain([mount.point.clone()]) {
                if version == Version::V2 && !available(&directory, controller) {
                    reason =
                        format!("{} has no controller {}", directory.display(), controller.name());
                } else if !candidates.contains(&(version, directory.clone())) {
                    candidates.push((version, directory));
                }
            }
        }
        Found { controller, candidates, reason }
    };
    Controller::ALL.map(find).into()
}

struct Mount<'a> {
    root: &'a str,
    point: PathBuf,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// One line of mountinfo: `36 35 98:0 /root /point opts optional… - type source super-options`.
    fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1)?);
        Some(Self { root, point: PathBuf::from(point), kind, options })
    }

    /// The directory of a cgroup path, if this mount shows it.
    fn directory_of(&self, path: &str) -> Option<PathBuf> {
        let below = path.strip_prefix(self.root.trim_end_matches('/'))?;
        let below = below.trim_start_matches('/');
        if below.is_empty() {
            return Some(self.point.clone());
        }
        (!below.split('/').any(|part| part == "..")).then(|| self.point.join(below))
    }
}

/// This process's path in the hierarchy of a v1 controller, or in v2 for `None`.
fn own_path<'a>(own: &'a str, controller: Option<&str>) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = match controller {
            Some(name) => names.split(',').any(|known| known == name),
            None => number == "0" && names.is_empty(),
        };
        fits.then_some(path)
    })
}

/// Lets the children of a v2 directory use a controller. A directory that holds processes cannot
/// (except the root of all): when they are this server's alone, they move into a leaf of it.
pub(super) fn enable(directory: &Path, controller: &str) -> io::Result<()> {
    let switch = directory.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&switch)?;
    if enabled.split_whitespace().any(|name| name == controller) {
        return Ok(());
    }
    let order = format!("+{controller}");
    match fs::write(&switch, &order) {
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
            move_into_leaf(directory)?;
            fs::write(&switch, &order)
        }
        other => other,
    }
}

/// The server and its helper, if nobody else is in the directory.
fn move_into_leaf(directory: &Path) -> io::Result<()> {
    let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());
    let processes = fs::read_to_string(directory.join("cgroup.procs"))?;
    let known = |line: &str| line == own.to_string() || line == parent.to_string();
    if !processes.lines().all(known) {
        return Err(io::Error::other("holds processes that are not this server's"));
    }
    let leaf = directory.join("dispatch-server");
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    processes.lines().try_for_each(|process| fs::write(leaf.join("cgroup.procs"), process))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "\
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:7 - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const OWN_V1: &str = "4:memory:/process/1\n1:cpu,cpuacct:/\n0::/\n";
    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const OWN_V2: &str = "0::/system.slice/dispatch.service\n";
    const CONTAINER: &str =
        "30 23 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";

    fn check(mounts: &str, own: &str, v2: &[Controller], expect: &[(Controller, &[&str])]) {
        let found = locate(mounts, own, &|_, controller| v2.contains(&controller));
        for (controller, paths) in expect {
            let of = found.iter().find(|found| found.controller == *controller).unwrap();
            let got: Vec<_> =
                of.candidates.iter().map(|(_, path)| path.to_str().unwrap()).collect();
            assert_eq!(got, *paths, "{controller:?}: {}", of.reason);
        }
    }

    #[test]
    fn each_controller_is_found_where_it_lives() {
        use Controller::{Cpu, Memory, Pids};
        check(
            V1,
            OWN_V1,
            &[Pids],
            &[
                (Memory, &["/sys/fs/cgroup/memory/process/1", "/sys/fs/cgroup/memory"]),
                (Cpu, &["/sys/fs/cgroup/cpu,cpuacct"]),
                (Pids, &["/sys/fs/cgroup/unified"]),
            ],
        );
        let service = "/sys/fs/cgroup/system.slice/dispatch.service";
        check(
            V2,
            OWN_V2,
            &[Memory, Pids],
            &[
                (Memory, &[service, "/sys/fs/cgroup"]),
                (Pids, &[service, "/sys/fs/cgroup"]),
                (Cpu, &[]),
            ],
        );
        check(
            CONTAINER,
            "4:memory:/docker/abc/x\n",
            &[],
            &[(Memory, &["/sys/fs/cgroup/memory/x", "/sys/fs/cgroup/memory"]), (Pids, &[])],
        );
        check("", "", &[], &[(Memory, &[]), (Pids, &[]), (Cpu, &[])]);
    }
}
