//! From root to the user that a server runs as, once everything that only root can reach has been read and written
//! (decision 29). The spawn helper was started before, and keeps what sandboxes need.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, lchown},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    unistd::{Gid, Uid, User, setgroups, setresgid, setresuid},
};

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

    /// Gives the user what is not its own yet. A directory is given after what is in it, so that one which is the
    /// user's needs no second look, and a kill in between loses nothing: but the first, where root has just written.
    fn own(&self, top: &Path) -> Result<(), RunAsError> {
        let failed = |path: &Path| {
            let (name, path) = (self.name.clone(), path.to_owned());
            move |source| RunAsError::Give { name, path, source }
        };
        for entry in fs::read_dir(top).map_err(failed(top))? {
            let path = entry.map_err(failed(top))?.path();
            let meta = fs::symlink_metadata(&path).map_err(failed(&path))?;
            if (meta.uid(), meta.gid()) == (self.uid.as_raw(), self.gid.as_raw()) {
                continue;
            }
            if meta.is_dir() {
                self.own(&path)?;
            } else {
                lchown(&path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
                    .map_err(failed(&path))?;
            }
        }
        lchown(top, Some(self.uid.as_raw()), Some(self.gid.as_raw())).map_err(failed(top))
    }
}

#[cfg(test)]
mod tests {
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
            eprintln!("skipped: only root gives files away");
            return;
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
        // What root writes later into the top is found, without another look at the rest.
        fs::write(top.path().join("c"), "x").unwrap();
        nobody.own(top.path()).unwrap();
        assert_eq!(own(&top.path().join("c")), nobody.uid.as_raw());
    }
}
