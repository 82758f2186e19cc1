//! Content-addressed layers under one directory: made under a temporary name, then renamed.
//!
//! A layer's name is the SHA-256 of its own tree, so equal output is stored once. Which input gave
//! which layer is remembered per organization (decision 35: building runs foreign code, so nobody
//! gets what somebody else's build made). Layers are a cache: whatever is lost can be made again.

mod archive;
mod digest;
mod held;
mod links;
mod sweep;
mod tree;
mod unpack;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

pub use digest::Digest;
pub use held::Held;
use held::Holds;
pub use sweep::Sweep;
pub(crate) use tree::measure;
pub use tree::{TreeError, TreeLimits, TreeSize};
pub(crate) use unpack::UnpackReport;
pub use unpack::{
    MAX_UNPACKED_BYTES, MAX_UNPACKED_ENTRIES, UNPACK_ARGUMENT, UnpackError, Unpacked, unpack,
    unpack_main_if_asked,
};

/// Name of a tree that is being made.
const MAKING: &str = "making-";
/// Where it is remembered which input gave which layer.
const BY_KEY: &str = "by-key";

/// Why a layer could not be kept. Each reads after "failed to keep the layer: ".
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("{what} {}", .path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The layers of one data directory. Blocking: call it from a thread that may wait.
#[derive(Debug, Clone)]
pub struct Layers {
    root: PathBuf,
    holds: Arc<Holds>,
}

/// A tree that is being made; removed unless it is kept.
#[derive(Debug)]
pub struct Staged {
    dir: PathBuf,
}

impl Layers {
    /// Opens `$DATA/layers`, which is made if it is missing; trees that a crash left half made are
    /// removed. Only one server may use the directory.
    pub fn open(root: PathBuf) -> Result<Self, LayerError> {
        make_dir(&root)?;
        make_dir(&root.join(BY_KEY))?;
        for entry in fs::read_dir(&root).map_err(failed("read", &root))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(MAKING) {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(Self { root, holds: Arc::default() })
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a layer lies, or would lie.
    #[must_use]
    pub fn path(&self, layer: Digest) -> PathBuf {
        self.root.join(layer.to_string())
    }

    /// A layer that somebody is about to use, if it is there.
    #[must_use]
    pub fn hold(&self, layer: Digest) -> Option<Held> {
        self.holds.hold_if(layer, || self.path(layer).is_dir())
    }

    /// The layer that this organization's input once gave, if it is still there.
    #[must_use]
    pub fn find(&self, organization: Uuid, key: Digest) -> Option<Held> {
        let text = fs::read_to_string(self.key_path(organization, key)).ok()?;
        self.hold(text.trim().parse::<Digest>().ok()?)
    }

    /// A fresh place for a tree; `id` must never have been used before.
    pub fn stage(&self, id: Uuid) -> Result<Staged, LayerError> {
        let staged = Staged { dir: self.root.join(format!("{MAKING}{id}")) };
        fs::DirBuilder::new()
            .mode(0o755)
            .create(&staged.dir)
            .map_err(failed("make", &staged.dir))?;
        for dir in [staged.output(), staged.input(), staged.scratch()] {
            make_dir(&dir)?;
        }
        Ok(staged)
    }

    /// Keeps what was made in [`Staged::output`]: checks its bounds and kinds, makes it readable and
    /// nobody's to write, names it by its content and remembers that `key` gave it.
    ///
    /// No process may be writing to it any more.
    pub fn keep(
        &self,
        staged: Staged,
        organization: Uuid,
        key: Digest,
        limits: TreeLimits,
    ) -> Result<(Held, TreeSize), LayerError> {
        let output = staged.output();
        let (layer, size) = tree::settle(&output, limits)?;
        // Before looking whether it is there: from now on it is not taken away.
        let held = self.holds.hold(layer);
        let path = self.path(layer);
        if !path.is_dir() {
            sync_file_system(&output)?;
            match fs::rename(&output, &path) {
                Ok(()) => {}
                // Another build made the same tree meanwhile.
                Err(_) if path.is_dir() => {}
                Err(source) => return Err(LayerError::Io { what: "rename to", path, source }),
            }
        }
        self.remember(organization, key, layer, &staged)?;
        Ok((held, size))
    }

    fn key_path(&self, organization: Uuid, key: Digest) -> PathBuf {
        self.root.join(BY_KEY).join(organization.to_string()).join(key.to_string())
    }

    fn remember(
        &self,
        organization: Uuid,
        key: Digest,
        layer: Digest,
        staged: &Staged,
    ) -> Result<(), LayerError> {
        let path = self.key_path(organization, key);
        let dir = self.root.join(BY_KEY).join(organization.to_string());
        make_dir(&dir)?;
        // Each build writes a file of its own: there may be two of one key at one time.
        let temporary = staged.dir.join("key");
        fs::write(&temporary, format!("{layer}\n")).map_err(failed("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(failed("write", &path))
    }
}

impl Staged {
    /// The tree that becomes the layer.
    #[must_use]
    pub fn output(&self) -> PathBuf {
        self.dir.join("output")
    }

    /// What the build reads.
    #[must_use]
    pub fn input(&self) -> PathBuf {
        self.dir.join("input")
    }

    /// Room on disk that is thrown away.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.dir.join("scratch")
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.dir.display(), %error, "a build's directory stays until the next start");
        }
    }
}

/// Makes one directory, readable by workers whatever the umask.
fn make_dir(path: &Path) -> Result<(), LayerError> {
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(failed("make", path)(error)),
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(failed("open up", path))
}

/// A rename that survives a power cut must not name files that did not.
fn sync_file_system(path: &Path) -> Result<(), LayerError> {
    let dir = fs::File::open(path).map_err(failed("open", path))?;
    rustix::fs::syncfs(&dir).map_err(|errno| failed("sync", path)(errno.into()))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LayerError {
    let path = path.to_owned();
    move |source| LayerError::Io { what, path, source }
}

#[cfg(test)]
mod tests;
