//! The /proc of a sandbox: its own processes, read-only, with what tells about the host masked.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::root::tmpfs;
use super::step::{Step, StepError};
use super::{sys, tree};

/// Readable by all on common kernels, and about the host.
const MASKED_FILES: [&str; 12] = [
    "cmdline",
    "config.gz",
    "diskstats",
    "interrupts",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "latency_stats",
    "modules",
    "partitions",
    "timer_list",
];
const MASKED_DIRECTORIES: [&str; 8] =
    ["acpi", "asound", "bus", "driver", "fs", "irq", "scsi", "tty"];

/// A /proc of this process namespace, not mounted anywhere yet.
pub(super) fn detached() -> Result<OwnedFd, StepError> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).step("open proc")?;
    // Hides the sandbox's first process, which is not the worker's business.
    fsconfig_set_string(context.as_fd(), "hidepid", "2").step("hide processes in /proc")?;
    fsconfig_create(context.as_fd()).step("make /proc")?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).step("mount /proc")
}

/// Mounts it at `proc` of the current directory, which has its `dev/null` already.
pub(super) fn mount() -> Result<(), StepError> {
    let proc = detached()?;
    tree::attach(&proc, Path::new("/proc"))?;
    // The last write to it: no user namespaces inside this one.
    std::fs::write("proc/sys/user/max_user_namespaces", "0")
        .step("forbid nested user namespaces")?;
    mask()?;
    sys::mount_attributes(proc.as_fd(), sys::READ_ONLY, false).step("make /proc read-only")
}

fn mask() -> Result<(), StepError> {
    for name in MASKED_FILES {
        cover(&format!("proc/{name}"), Path::new("dev/null"))?;
    }
    let present = |name: &&str| Path::new("proc").join(name).exists();
    let mut directories = MASKED_DIRECTORIES.iter().filter(|name| present(name));
    let Some(first) = directories.next().map(|name| Path::new("proc").join(name)) else {
        return Ok(());
    };
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    tree::attach(&tmpfs("4k", "1", "755", attributes)?, &first)?;
    for name in directories {
        cover(&format!("proc/{name}"), &first)?;
    }
    Ok(())
}

/// Puts a second mount of `with` over `path`, if that exists.
fn cover(path: &str, with: &Path) -> Result<(), StepError> {
    if !Path::new(path).exists() {
        return Ok(());
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mask = open_tree(CWD, with, flags).step("clone a mask")?;
    move_mount(&mask, c"", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .step_on("mask", &path)
}
