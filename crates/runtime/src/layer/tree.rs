//! A finished tree: bounded, made readable, and hashed. No process writes to it any more.

use std::ffi::OsString;
use std::fs::{self, Metadata, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::digest::Digest;
use super::links::stays_inside;

/// Deeper trees are refused.
const MAX_DEPTH: usize = 64;

/// The bounds of a layer.
#[derive(Debug, Clone, Copy)]
pub struct TreeLimits {
    pub bytes: u64,
    pub entries: u64,
}

/// What a tree holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeSize {
    pub bytes: u64,
    pub entries: u64,
}

/// What makes a tree no layer.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("it holds more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("it holds more than {limit} files and directories")]
    TooMany { limit: u64 },
    #[error("its directories are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("{} is a link out of it", .path.display())]
    LinkOut { path: PathBuf },
    #[error("{} is neither a file nor a directory nor a link", .path.display())]
    Kind { path: PathBuf },
    #[error("{} cannot be read or changed", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl TreeError {
    /// Whether what was built is at fault, not the disk.
    pub(crate) fn blames_input(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }
}

/// Looks at a tree that may still be growing; an error only when it is over its bounds.
pub(crate) fn measure(root: &Path, limits: TreeLimits) -> Result<(), TreeError> {
    let mut size = TreeSize::default();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        // What vanishes while one looks is not there.
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            size.add(&meta, limits)?;
            if meta.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Makes everything 0755 or 0644 and owned by this process, and names the tree by its content:
/// kinds, names, whether executable, targets of links and bytes of files; no times, no owners.
pub(super) fn settle(root: &Path, limits: TreeLimits) -> Result<(Digest, TreeSize), TreeError> {
    let mut walk = Walk { hash: Sha256::new(), size: TreeSize::default(), limits };
    walk.dir(root, Path::new(""), 0)?;
    Ok((Digest::from_bytes(walk.hash.finalize().into()), walk.size))
}

struct Walk {
    hash: Sha256,
    size: TreeSize,
    limits: TreeLimits,
}

impl Walk {
    fn dir(&mut self, path: &Path, inside: &Path, depth: usize) -> Result<(), TreeError> {
        if depth > MAX_DEPTH {
            return Err(TreeError::TooDeep);
        }
        own(path, 0o755)?;
        let entries = fs::read_dir(path).map_err(failed(path))?;
        let mut names: Vec<OsString> = entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()
            .map_err(failed(path))?;
        names.sort();
        for name in names {
            let (path, inside) = (path.join(&name), inside.join(&name));
            let meta = fs::symlink_metadata(&path).map_err(failed(&path))?;
            self.size.add(&meta, self.limits)?;
            let kind = meta.file_type();
            if kind.is_dir() {
                self.note(b'd', &inside, b"");
                self.dir(&path, &inside, depth + 1)?;
            } else if kind.is_file() {
                self.file(&path, &inside, &meta)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).map_err(failed(&path))?;
                if !stays_inside(depth, target.as_os_str()) {
                    return Err(TreeError::LinkOut { path: inside });
                }
                chown(&path)?;
                self.note(b'l', &inside, target.as_os_str().as_bytes());
            } else {
                return Err(TreeError::Kind { path: inside });
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, inside: &Path, meta: &Metadata) -> Result<(), TreeError> {
        let executable = meta.permissions().mode() & 0o111 != 0;
        own(path, if executable { 0o755 } else { 0o644 })?;
        let kind = if executable { b'x' } else { b'f' };
        let mut file = fs::File::open(path).map_err(failed(path))?;
        let mut content = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = file.read(&mut buffer).map_err(failed(path))?;
            if read == 0 {
                break;
            }
            content.update(buffer.get(..read).unwrap_or_default());
        }
        self.note(kind, inside, &content.finalize());
        Ok(())
    }

    fn note(&mut self, kind: u8, path: &Path, content: &[u8]) {
        let path = path.as_os_str().as_bytes();
        self.hash.update([kind]);
        for part in [path, content] {
            self.hash.update((part.len() as u64).to_be_bytes());
            self.hash.update(part);
        }
    }
}

impl TreeSize {
    fn add(&mut self, meta: &Metadata, limits: TreeLimits) -> Result<(), TreeError> {
        self.entries += 1;
        if meta.is_file() {
            self.bytes = self.bytes.saturating_add(meta.len().max(meta.blocks() * 512));
        }
        if self.entries > limits.entries {
            return Err(TreeError::TooMany { limit: limits.entries });
        }
        if self.bytes > limits.bytes {
            return Err(TreeError::TooLarge { limit: limits.bytes });
        }
        Ok(())
    }
}

fn own(path: &Path, mode: u32) -> Result<(), TreeError> {
    chown(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed(path))
}

/// A no-op where the builder's files are this user's already.
fn chown(path: &Path) -> Result<(), TreeError> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let meta = fs::symlink_metadata(path).map_err(failed(path))?;
    if meta.uid() == uid && meta.gid() == gid {
        return Ok(());
    }
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> TreeError {
    let path = path.to_owned();
    move |source| TreeError::Io { path, source }
}
