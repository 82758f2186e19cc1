//! Writable layers as root: the worker writes as its own uid, the disk says the layer's owner. An
//! id-mapped mount does that (Linux 5.12; ext4, xfs, btrfs, and tmpfs from 6.3), with no chown after.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};

use super::clone::{end, write_maps};
use crate::sandbox::step::{Step, StepError};
use crate::sandbox::sys::{self, Cloned};
use crate::sandbox::tree::{Kind, Source};

/// Maps the owner of each writable source to the worker's host uid.
pub(super) fn map_writable(
    sources: &[Source],
    trees: &[OwnedFd],
    uid: u32,
) -> Result<(), StepError> {
    for (source, tree) in sources.iter().zip(trees) {
        if source.kind == Kind::Writable {
            let host = source.host_path();
            let meta = std::fs::metadata(&host).step_on("look at", &host.display())?;
            let namespace = namespace((meta.uid(), meta.gid()), uid)?;
            sys::mount_id_map(tree.as_fd(), namespace.as_fd())
                .step_on("map the owner of", &host.display())?;
        }
    }
    Ok(())
}

/// A user namespace that nobody lives in: `owner` inside is `uid` outside.
fn namespace(owner: (u32, u32), uid: u32) -> Result<OwnedFd, StepError> {
    let (hear, go) = pipe_with(PipeFlags::CLOEXEC).step("make a pipe")?;
    match sys::clone_with(libc::CLONE_NEWUSER, None).step("make a user namespace")? {
        Cloned::Child => {
            drop(go);
            let _ = rustix::io::read(&hear, &mut [0u8; 1]);
            sys::exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            let made = write_maps(pid, owner, (uid, uid)).and_then(|()| {
                let path = format!("/proc/{pid}/ns/user");
                open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .step("open a user namespace")
            });
            end(pid, &pidfd);
            made
        }
    }
}
