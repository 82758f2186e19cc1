//! From root to the user that a server runs as, once everything that only root can reach has been read and written
//! (decision 29). The spawn helper was started before, and keeps what sandboxes need.

use std::{
    ffi::CStr,
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    unistd::{Gid, Uid, User, setfsgid, setfsuid, setgroups, setresgid, setresuid},
};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, chownat, open, openat, statat};

/// A user of this machine other than root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    name: String,
    uid: Uid,
    gid: Gid,
}

/// Why root's rights cannot be given up. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RunAsError {
    #[error(
        "this machine has no user {name}: make it (useradd --system {name}), or set user to another; with \"\" the server stays root"
    )]
    Unknown { name: String },
    #[error("user {name} is root: with \"\" the server stays root")]
    Root { name: String },
    #[error("look up the user {name}")]
    Lookup {
        name: String,
        #[source]
        source: Errno,
    },
    #[error("give {path} to the user {name}")]
    Give {
        name: String,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("go on as the user {name}")]
    Become {
        name: String,
        #[source]
        source: Errno,
    },
    #[error(
        "the user {name} cannot open {path}: let it enter the directories above, or choose another place"
    )]
    Closed {
        name: String,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl RunAs {
    /// The user of that name; `None` where the machine does not have it.
    pub fn find(name: &str) -> Result<Option<Self>, RunAsError> {
        let name = name.to_owned();
        let found = User::from_name(&name)
            .map_err(|source| RunAsError::Lookup { name: name.clone(), source })?;
        match found {
            Some(user) if user.uid.is_root() => Err(RunAsError::Root { name }),
            Some(user) => Ok(Some(Self { name, uid: user.uid, gid: user.gid })),
            None => Ok(None),
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// Whether the user could enter a directory, asked with its rights for a moment (of this thread's alone).
    pub(crate) fn can_enter(&self, directory: &Path) -> io::Result<()> {
        let (gid, uid) = (setfsgid(self.gid), setfsuid(self.uid));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = open(directory.join("."), flags, Mode::empty());
        setfsuid(uid);
        setfsgid(gid);
        opened.map(drop).map_err(io::Error::from)
    }

    /// Gives the directories to the user and goes on, with all threads, as nobody but that user.
    /// There is no way back.
    pub(crate) fn take_over(&self, directories: &[&Path]) -> Result<(), RunAsError> {
        for directory in directories {
            self.own(directory)?;
        }
        let failed = |source| RunAsError::Become { name: self.name.clone(), source };
        // Of the C library, which does it for all threads.
        setgroups(&[]).map_err(failed)?;
        setresgid(self.gid, self.gid, self.gid).map_err(failed)?;
        setresuid(self.uid, self.uid, self.uid).map_err(failed)?;
        for directory in directories {
            fs::read_dir(directory).map_err(|source| RunAsError::Closed {
                name: self.name.clone(),
                path: directory.to_path_buf(),
                source,
            })?;
        }
        Ok(())
    }

    /// Gives the user what is not its own yet: everything near the top, where a server that stayed root may have
    /// written since, and all of what is not the user's below. By descriptors and never through links, because the
    /// directory may be another's already.
    fn own(&self, top: &Path) -> Result<(), RunAsError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let walk = open(top, flags, Mode::empty()).and_then(|top| {
            self.own_below(&top, 0)?;
            self.give(&top, c"")
        });
        walk.map_err(|errno| RunAsError::Give {
            name: self.name.clone(),
            path: top.to_owned(),
            source: errno.into(),
        })
    }

    fn own_below(&self, directory: &OwnedFd, depth: u32) -> Result<(), rustix::io::Errno> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_own = (stat.st_uid, stat.st_gid) == (self.uid.as_raw(), self.gid.as_raw());
            let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if is_directory && (!is_own || depth < NEAR_THE_TOP) {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = openat(directory, name, flags, Mode::empty())?;
                self.own_below(&below, depth + 1)?;
                self.give(&below, c"")?;
            } else if !is_own && stat.st_nlink == 1 {
                // A file with a second name may be somebody else's.
                self.give(directory, name)?;
            }
        }
        Ok(())
    }

    /// The entry of that name, or the directory itself for an empty one.
    fn give(&self, directory: &OwnedFd, name: &CStr) -> Result<(), rustix::io::Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
        let (uid, gid) = (self.uid.as_raw(), self.gid.as_raw());
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        chownat(directory, name, Some(uid), Some(gid), flags)
    }
}

/// `layers/by-key/ORGANIZATION/KEY`: the deepest place where a server writes single files.
const NEAR_THE_TOP: u32 = 3;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_root_is_not_one() {
        assert_eq!(RunAs::find("no-such-user-here").unwrap(), None);
        assert!(matches!(RunAs::find("root"), Err(RunAsError::Root { .. })));
        assert_eq!(RunAs::find("nobody").unwrap().unwrap().name(), "nobody");
    }

    #[test]
    fn everything_is_given_away_but_what_links_point_at() {
        if !Uid::effective().is_root() {
            return dispatch_testkit::skip("only root gives files away");
        }
        let (top, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let own = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
        let (inside, deep) = (top.path().join("a"), top.path().join("a/b"));
        fs::create_dir(&inside).unwrap();
        fs::write(&deep, "x").unwrap();
        let link = top.path().join("link");
        std::os::unix::fs::symlink(other.path(), &link).unwrap();
        let nobody = RunAs::find("nobody").unwrap().unwrap();
        nobody.own(top.path()).unwrap();
        for path in [top.path(), &inside, &deep, &link] {
            assert_eq!(own(path), nobody.uid.as_raw(), "{}", path.display());
        }
        assert_eq!(own(other.path()), 0);
        // What root has written since is found, also below what is the user's already.
        let key = top.path().join("layers/by-key/organization");
        fs::create_dir_all(&key).unwrap();
        nobody.own(top.path()).unwrap();
        let later = [top.path().join("c"), key.join("key")];
        later.iter().for_each(|path| fs::write(path, "x").unwrap());
        // A second name of somebody's file is not given away.
        let foreign = other.path().join("foreign");
        fs::write(&foreign, "x").unwrap();
        fs::hard_link(&foreign, top.path().join("name")).unwrap();
        nobody.own(top.path()).unwrap();
        later.iter().for_each(|path| assert_eq!(own(path), nobody.uid.as_raw()));
        assert_eq!(own(&foreign), 0);
    }
}
