//! What the kernel says of itself. Nothing is tried and nothing is changed here.

use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::sandbox::cgroup::{self, Controller, Version};
use crate::sandbox::sys;

/// The oldest with all that a sandbox needs (`mount_setattr`).
pub const OLDEST: (u32, u32) = (5, 12);

/// `6.1.0-18-amd64`, and whether that is new enough.
#[must_use]
pub fn release() -> (String, bool) {
    let name = rustix::system::uname();
    let text = name.release().to_string_lossy().into_owned();
    let is_new = is_new_enough(&text);
    (text, is_new)
}

fn is_new_enough(release: &str) -> bool {
    version(release).is_some_and(|version| version >= OLDEST)
}

/// The first two numbers of a release.
pub(crate) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

/// A switch of the kernel that can keep users from making sandboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// As `sysctl` takes it.
    pub name: &'static str,
    pub value: String,
    /// Who cannot make a sandbox with this value.
    pub hinders: Hindered,
    /// A value with which everybody can.
    pub better: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindered {
    Nobody,
    Everybody,
    /// Everybody but root, and whoever a profile lets.
    OrdinaryUsers,
}

/// Those switches that this kernel has.
#[must_use]
pub fn sysctls() -> Vec<Sysctl> {
    SYSCTLS
        .iter()
        .filter_map(|switch| {
            let path = format!("/proc/sys/{}", switch.name.replace('.', "/"));
            let value = fs::read_to_string(path).ok()?.trim().to_owned();
            Some(switch.seen(value))
        })
        .collect()
}

struct Switch {
    name: &'static str,
    off: &'static str,
    hinders: Hindered,
    better: &'static str,
}

const SYSCTLS: [Switch; 3] = [
    Switch {
        name: "user.max_user_namespaces",
        off: "0",
        hinders: Hindered::Everybody,
        better: "15000",
    },
    Switch {
        name: "kernel.unprivileged_userns_clone",
        off: "0",
        hinders: Hindered::OrdinaryUsers,
        better: "1",
    },
    Switch {
        name: "kernel.apparmor_restrict_unprivileged_userns",
        off: "1",
        hinders: Hindered::OrdinaryUsers,
        better: "0",
    },
];

impl Switch {
    fn seen(&self, value: String) -> Sysctl {
        let hinders = if value == self.off { self.hinders } else { Hindered::Nobody };
        Sysctl { name: self.name, value, hinders, better: self.better }
    }
}

/// A controller of cgroups, by its name (`memory`), and where this process could make groups with it.
#[derive(Debug, Clone)]
pub struct Group {
    pub controller: &'static str,
    pub place: Result<GroupPlace, String>,
}

#[derive(Debug, Clone)]
pub struct GroupPlace {
    /// `v1` or `v2`.
    pub version: &'static str,
    pub directory: PathBuf,
    /// Whether this process may write there: root, or whom the group was delegated to.
    pub is_writable: bool,
}

#[must_use]
pub fn cgroups() -> Vec<Group> {
    let found = Controller::ALL.into_iter().map(|controller| {
        let place = cgroup::candidates(controller).map(|(version, candidates)| {
            let writable =
                |path: &PathBuf| accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
            let (directory, is_writable) = match candidates.iter().find(|path| writable(path)) {
                Some(path) => (path.clone(), true),
                None => (candidates.first().cloned().unwrap_or_default(), false),
            };
            let version = match version {
                Version::V1 => "v1",
                Version::V2 => "v2",
            };
            GroupPlace { version, directory, is_writable }
        });
        Group { controller: controller.name(), place }
    });
    found.collect()
}

/// The version of Landlock's interface; an error where the kernel has none, or it is not switched on.
pub fn landlock_abi() -> io::Result<u32> {
    sys::landlock_abi()
}

/// Whether system calls can be filtered.
pub fn seccomp() -> io::Result<()> {
    sys::can_filter_calls()
}

/// Whether the kernel has overlayfs, loaded or built in.
#[must_use]
pub fn has_overlayfs() -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.split_whitespace().next_back() == Some("overlay"))
}

/// The value of `hidepid` with which /proc is mounted; `None` if everybody sees every process.
#[must_use]
pub fn hidepid() -> Option<String> {
    hidden(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

fn hidden(mounts: &str) -> Option<String> {
    let line = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/proc"))?;
    let options = line.split(" - ").nth(1)?.split(' ').nth(2)?;
    let value = options.split(',').find_map(|option| option.strip_prefix("hidepid="))?;
    (!matches!(value, "0" | "off")).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_new_enough_by_its_first_two_numbers() {
        let check = |text: &str, expect| {
            assert_eq!(is_new_enough(text), expect, "{text}");
        };
        check("6.1.0-18-amd64", true);
        check("5.12.0", true);
        check("5.11.22-generic", false);
        check("10.0", true);
        check("unknown", false);
        assert!(release().1, "this machine runs the other tests");
    }

    #[test]
    fn a_switch_hinders_only_with_its_value() {
        let check = |index: usize, value: &str, expect| {
            assert_eq!(SYSCTLS[index].seen(value.to_owned()).hinders, expect, "{value}");
        };
        check(0, "0", Hindered::Everybody);
        check(0, "15000", Hindered::Nobody);
        check(1, "0", Hindered::OrdinaryUsers);
        check(1, "1", Hindered::Nobody);
        check(2, "1", Hindered::OrdinaryUsers);
        check(2, "0", Hindered::Nobody);
        // And a value that is said to be better is.
        for switch in &SYSCTLS {
            assert_eq!(switch.seen(switch.better.to_owned()).hinders, Hindered::Nobody);
        }
        assert!(sysctls().iter().any(|switch| switch.name == "user.max_user_namespaces"));
    }

    #[test]
    fn hidden_processes_are_seen_in_the_options_of_proc() {
        let check = |options: &str, expect: Option<&str>| {
            let mounts = format!("22 1 0:20 / /proc rw,nosuid shared:5 - proc proc {options}\n");
            assert_eq!(hidden(&mounts).as_deref(), expect, "{options}");
        };
        check("rw", None);
        check("rw,hidepid=0", None);
        check("rw,hidepid=2", Some("2"));
        check("rw,gid=5,hidepid=invisible", Some("invisible"));
        assert_eq!(hidden(""), None);
    }

    #[test]
    fn every_controller_is_told_of() {
        let groups = cgroups();
        let names: Vec<&str> = groups.iter().map(|group| group.controller).collect();
        assert_eq!(names, ["memory", "pids", "cpu"]);
        for place in groups.iter().filter_map(|group| group.place.as_ref().ok()) {
            assert!(place.directory.is_dir() && ["v1", "v2"].contains(&place.version), "{place:?}");
        }
    }
}
