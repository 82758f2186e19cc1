//! The root file system of a worker: a small tmpfs with read-only mounts, a made /etc and /dev, a
//! bounded /tmp and the /proc of its own process namespace. The host's root is gone at the end.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    mount_change, move_mount, open_tree, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::step::{Step, StepError};
use super::tree::{Source, attach};
use super::{etc, proc, sys};

/// Devices that a worker sees.
pub(crate) const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Where the new root is put together. It exists everywhere and is only covered in our own copy.
const WORKPLACE: &str = "/tmp";

/// Mounts of the host no longer come here, and ours do not go there.
pub(crate) fn make_private() -> Result<(), StepError> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .step("make mounts private")
}

/// Builds the root out of detached mounts and moves into it. Gives the sandbox's /etc/hosts, open
/// for appending though the worker sees it read-only.
pub(crate) fn build(
    sources: &[Source],
    trees: &[OwnedFd],
    links: &[(PathBuf, PathBuf)],
    tmp_bytes: u64,
) -> Result<File, StepError> {
    let root = tmpfs("1m", "4k", "755", MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    move_mount(&root, c"", CWD, WORKPLACE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .step("mount the new root")?;
    chdir(WORKPLACE).step("enter the new root")?;
    // A second mount of it, seen by nobody: stays writable when the worker's becomes read-only.
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let private = open_tree(CWD, ".", flags).step("clone the new root")?;

    etc::write()?;
    make_tmp(tmp_bytes)?;
    for (source, tree) in sources.iter().zip(trees) {
        attach(tree, &source.inside)?;
    }
    make_links(links)?;
    proc::mount()?;

    let attributes = sys::READ_ONLY | sys::NO_SUID | sys::NO_DEV;
    sys::mount_attributes(root.as_fd(), attributes, false).step("make the root read-only")?;
    pivot_root(".", ".").step("change the root")?;
    unmount(".", UnmountFlags::DETACH).step("leave the old root")?;
    chdir("/").step("enter the root")?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    let hosts = openat(&private, "etc/hosts", flags, Mode::empty()).step("open /etc/hosts")?;
    Ok(File::from(hosts))
}

/// A new tmpfs as a detached mount, with no devices in it.
pub(super) fn tmpfs(
    size: &str,
    inodes: &str,
    mode: &str,
    attributes: MountAttrFlags,
) -> Result<OwnedFd, StepError> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).step("open tmpfs")?;
    for (key, value) in [("size", size), ("nr_inodes", inodes), ("mode", mode)] {
        fsconfig_set_string(context.as_fd(), key, value).step_on("set the tmpfs's", &key)?;
    }
    fsconfig_create(context.as_fd()).step("make a tmpfs")?;
    let attributes = attributes | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).step("mount a tmpfs")
}

fn make_tmp(bytes: u64) -> Result<(), StepError> {
    // One inode per 4 KiB, so that empty files are bounded too.
    let inodes = (bytes / 4096).max(64).to_string();
    let tmp = tmpfs(&bytes.to_string(), &inodes, "700", MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    attach(&tmp, Path::new("/tmp"))
}

fn make_links(links: &[(PathBuf, PathBuf)]) -> Result<(), StepError> {
    let own = [
        ("dev/fd", "/proc/self/fd"),
        ("dev/stdin", "/proc/self/fd/0"),
        ("dev/stdout", "/proc/self/fd/1"),
        ("dev/stderr", "/proc/self/fd/2"),
        // POSIX semaphores and shared memory count against /tmp.
        ("dev/shm", "/tmp"),
        ("var/tmp", "/tmp"),
    ];
    let own = own.iter().map(|(path, target)| (Path::new(path), Path::new(target)));
    let given = links
        .iter()
        .map(|(path, target)| (path.strip_prefix("/").unwrap_or(path.as_path()), target.as_path()));
    for (path, target) in own.chain(given) {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).step_on("make the directory of", &path.display())?;
        }
        symlink(target, path).step_on("link", &path.display())?;
    }
    Ok(())
}

/// A small file of the new root, readable by all.
pub(super) fn write_file(path: &str, text: &str) -> Result<(), StepError> {
    std::fs::write(path, text).step_on("write", &path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
        .step_on("set the mode of", &path)
}
