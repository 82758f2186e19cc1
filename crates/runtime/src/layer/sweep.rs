//! Removing the layers that nobody needs (decision 17: a cache that can be made again, swept when unreferenced).

use std::fs;
use std::path::Path;

use super::{BY_KEY, Digest, LayerError, Layers, MAKING, failed};

/// A sweep that has begun. Ask what is used only now: what is held from here on is left alone too.
#[derive(Debug)]
pub struct Sweep {
    layers: Layers,
}

impl Layers {
    /// `None`: one is under way.
    #[must_use]
    pub fn begin_sweep(&self) -> Option<Sweep> {
        let begun = self.holds.lock().begin_sweep();
        // One that has not begun must not be made: its end would be the other's.
        begun.then(|| Sweep { layers: self.clone() })
    }
}

impl Sweep {
    /// Removes the layers that are neither `used` nor held, and what is remembered of them. Returns how many.
    pub fn finish(self, used: impl Fn(Digest) -> bool) -> Result<usize, LayerError> {
        let root = self.layers.root();
        let mut removed = 0;
        for entry in fs::read_dir(root).map_err(failed("read", root))?.flatten() {
            let name = entry.file_name();
            let layer = name.to_str().and_then(|name| name.parse::<Digest>().ok());
            let Some(layer) = layer.filter(|layer| !used(*layer)) else { continue };
            removed += usize::from(self.remove(layer, &entry.path())?);
        }
        self.forget_keys(&root.join(BY_KEY));
        Ok(removed)
    }

    /// Renamed first, so that a crash leaves no half layer under its name.
    fn remove(&self, layer: Digest, path: &Path) -> Result<bool, LayerError> {
        let doomed = self.layers.root().join(format!("{MAKING}{layer}"));
        if doomed.exists() {
            // An earlier sweep could not finish it.
            fs::remove_dir_all(&doomed).map_err(failed("remove", &doomed))?;
        }
        {
            let state = self.layers.holds.lock();
            if state.was_held(layer) {
                return Ok(false);
            }
            fs::rename(path, &doomed).map_err(failed("rename", path))?;
        }
        fs::remove_dir_all(&doomed).map_err(failed("remove", &doomed))?;
        Ok(true)
    }

    /// Lines that name layers which are gone. One that a build writes at this moment is only remembered a little later.
    fn forget_keys(&self, by_key: &Path) {
        let organizations = fs::read_dir(by_key).into_iter().flatten().flatten();
        let keys = organizations.flat_map(|one| fs::read_dir(one.path()).into_iter().flatten());
        for key in keys.flatten() {
            let path = key.path();
            let layer = fs::read_to_string(&path).ok();
            let layer = layer.and_then(|text| text.trim().parse::<Digest>().ok());
            if layer.is_none_or(|layer| !self.layers.path(layer).is_dir())
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "a key of a swept layer stays");
            }
        }
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        self.layers.holds.lock().end_sweep();
    }
}
