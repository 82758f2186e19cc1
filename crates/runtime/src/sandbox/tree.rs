//! A file or directory of the host as a detached mount, ready to be put somewhere in a sandbox.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::step::{Step, StepError};
use super::sys;

/// What is mounted and where. Under `root`, an allowed and canonical path, no symbolic link is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) root: PathBuf,
    /// Below `root`; empty for `root` itself.
    pub(crate) relative: PathBuf,
    /// Absolute, inside.
    pub(crate) inside: PathBuf,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    ReadOnly,
    Writable,
    Device,
}

impl Source {
    /// A device of /dev.
    pub(crate) fn device(name: &str) -> Self {
        let path = Path::new("/dev").join(name);
        Self { root: path.clone(), relative: PathBuf::new(), inside: path, kind: Kind::Device }
    }

    pub(crate) fn host_path(&self) -> PathBuf {
        if self.relative.as_os_str().is_empty() {
            self.root.clone()
        } else {
            self.root.join(&self.relative)
        }
    }
}

/// Clones the mount, with all that is mounted below, and takes away what it must not allow.
pub(crate) fn detach(source: &Source) -> Result<OwnedFd, StepError> {
    let host = source.host_path();
    let shown = host.display();
    let place = open_beneath(source).step_on("open", &shown)?;
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if source.kind == Kind::ReadOnly {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = open_tree(&place, c"", flags).step_on("clone the mount of", &shown)?;
    let (attributes, recursive) = match source.kind {
        Kind::ReadOnly => (sys::READ_ONLY | sys::NO_SUID | sys::NO_DEV, true),
        Kind::Writable => (sys::NO_SUID | sys::NO_DEV, false),
        Kind::Device => (sys::READ_ONLY | sys::NO_SUID | sys::NO_EXEC, false),
    };
    sys::mount_attributes(tree.as_fd(), attributes, recursive)
        .step_on("restrict the mount of", &shown)?;
    Ok(tree)
}

fn open_beneath(source: &Source) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let root = open(&source.root, flags, Mode::empty())?;
    if source.relative.as_os_str().is_empty() {
        return Ok(root);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(&root, &source.relative, flags, Mode::empty(), resolve)
}

/// Puts a detached mount at `inside` of the root that is the current directory.
pub(crate) fn attach(tree: &OwnedFd, inside: &Path) -> Result<(), StepError> {
    let shown = inside.display();
    let place = inside.strip_prefix("/").unwrap_or(inside);
    let stat = fstat(tree).step_on("look at", &shown)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        std::fs::create_dir_all(place).step_on("make the directory", &shown)?;
    } else {
        if let Some(parent) = place.parent() {
            std::fs::create_dir_all(parent).step_on("make the directory of", &shown)?;
        }
        if !place.exists() {
            std::fs::File::create(place).step_on("make the file", &shown)?;
        }
    }
    move_mount(tree, c"", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .step_on("mount", &shown)
}
