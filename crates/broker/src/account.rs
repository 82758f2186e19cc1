//! As which user PostgreSQL's programs run, and where they are.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use nix::unistd::{Uid, User};

/// As whom the programs run: they refuse root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account(Option<(u32, u32)>);

impl Account {
    /// The user `postgres` for root, oneself for anybody else. `initdb` refuses a user whom the
    /// system does not know by name.
    pub(crate) fn find() -> io::Result<Self> {
        let own = Uid::effective();
        if !own.is_root() {
            return match User::from_uid(own)? {
                Some(_) => Ok(Self(None)),
                None => {
                    let text = format!("the user with the id {own} has no name on this system");
                    Err(io::Error::new(io::ErrorKind::NotFound, text))
                }
            };
        }
        match User::from_name("postgres")? {
            Some(user) => Ok(Self(Some((user.uid.as_raw(), user.gid.as_raw())))),
            None => {
                let text = "PostgreSQL does not run as root, and there is no user postgres";
                Err(io::Error::new(io::ErrorKind::NotFound, text))
            }
        }
    }

    /// A command as that user, with nothing of this process's environment.
    pub(crate) fn command(self, program: impl AsRef<std::ffi::OsStr>, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(directory)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC");
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Lets that user, and nobody else besides the owner, pass through a directory.
    pub(crate) fn admit(self, directory: &Path) -> io::Result<()> {
        match self.0 {
            Some((_, gid)) => {
                std::os::unix::fs::chown(directory, None, Some(gid))?;
                fs::set_permissions(directory, fs::Permissions::from_mode(0o710))
            }
            None => Ok(()),
        }
    }

    /// Lets that user, and nobody else besides the owner, read a file.
    pub(crate) fn share(self, file: &Path) -> io::Result<()> {
        match self.0 {
            Some((_, gid)) => {
                std::os::unix::fs::chown(file, None, Some(gid))?;
                fs::set_permissions(file, fs::Permissions::from_mode(0o640))
            }
            None => Ok(()),
        }
    }

    /// The first directory on the way to a path through which that user may not pass.
    pub(crate) fn is_kept_out(self, path: &Path) -> io::Result<Option<PathBuf>> {
        let Some((uid, gid)) = self.0 else { return Ok(None) };
        let mut way: Vec<_> = path.ancestors().collect();
        way.reverse();
        for part in way {
            let found = fs::metadata(part)?;
            let bit = match (found.uid() == uid, found.gid() == gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            if found.mode() & bit == 0 {
                return Ok(Some(part.to_owned()));
            }
        }
        Ok(None)
    }

    /// Gives a file or directory to that user.
    pub(crate) fn give(self, path: &Path) -> io::Result<()> {
        match self.0 {
            Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }
}

/// The directory with the programs of the newest PostgreSQL.
pub fn programs() -> io::Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs.join("postgres").exists().then_some((version, programs))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path).ok_or_else(|| {
        let text = "no PostgreSQL under /usr/lib/postgresql; on Debian: apt install postgresql";
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_that_keeps_the_user_out_is_named() {
        let parent = tempfile::tempdir().expect("a directory");
        let (shut, inner) = (parent.path().join("shut"), parent.path().join("shut/inner"));
        fs::create_dir_all(&inner).expect("made");
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
        };
        mode(parent.path(), 0o755);
        mode(&shut, 0o700);
        let other = Account(Some((64_999, 64_999)));
        assert_eq!(other.is_kept_out(&inner).expect("asked"), Some(shut.clone()));
        assert_eq!(Account(None).is_kept_out(&inner).expect("asked"), None);
        if Uid::effective().is_root() {
            other.admit(&shut).expect("let in");
            assert_eq!(other.is_kept_out(&inner).expect("asked"), None);
            let third = Account(Some((64_998, 64_998)));
            assert_eq!(third.is_kept_out(&inner).expect("asked"), Some(shut));
        }
    }
}
