//! The data directory of a broker: who has it has it alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// A data directory, locked until this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Another broker has it.
    #[error("another broker uses the data directory {}", path.display())]
    InUse { path: PathBuf },
    /// It, or its lock file, cannot be made or opened.
    #[error("the data directory {} cannot be used", path.display())]
    Directory { path: PathBuf, source: io::Error },
}

impl DataDirectory {
    /// Makes the directory (mode 0700) if need be, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let failed = |source| DataError::Directory { path: path.to_owned(), source };
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("broker.lock"))
            .map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(DataError::InUse { path: path.to_owned() });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        let path = fs::canonicalize(path).map_err(failed)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_broker_is_refused_until_the_first_has_ended() {
        let parent = tempfile::tempdir().expect("a directory");
        let path = parent.path().join("new/data");
        let first = DataDirectory::open(&path).expect("locked");
        assert!(matches!(DataDirectory::open(&path), Err(DataError::InUse { .. })));
        drop(first);
        let again = DataDirectory::open(&path).expect("locked again");
        assert_eq!(again.file("x").parent(), fs::canonicalize(&path).ok().as_deref());
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
