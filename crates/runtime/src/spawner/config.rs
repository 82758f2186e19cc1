//! What the helper is told once, at its start, and never again: the bounds of every later request.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The helper's settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SpawnerConfig {
    /// Names this server's cgroups. Stable for one data directory, whose lock makes sure that
    /// nobody else uses it: what is found under this id at the start is a leftover and removed.
    pub instance: Uuid,
    /// A file that the helper locks for as long as it lives. A helper that finds it locked waits
    /// until the one before has ended its workers, so that no two servers' are alive at one time.
    pub lock: Option<PathBuf>,
    /// Layers must lie under one of these. Absolute.
    pub layer_roots: Vec<PathBuf>,
    /// What of the machine may be mounted: these paths and all below. `/usr` and the few files of
    /// /etc that a runtime needs always may; the prefix of an interpreter elsewhere is added here.
    pub base_roots: Vec<PathBuf>,
    /// Host uids for workers, used only as root.
    pub uids: UidRange,
    /// Workers that live at one time.
    pub max_workers: u32,
    /// Whether `NetworkSpec::Unconfined` is taken. Only for the twins of attack tests.
    pub allow_unconfined_network: bool,
}

/// Host uids `first` to `first + count - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UidRange {
    pub first: u32,
    pub count: u32,
}

impl Default for UidRange {
    /// Above what distributions, systemd and containers give away.
    fn default() -> Self {
        Self { first: 2_000_000_000, count: 65_536 }
    }
}

impl SpawnerConfig {
    /// Defaults, with layers under these roots.
    #[must_use]
    pub fn new(instance: Uuid, layer_roots: Vec<PathBuf>) -> Self {
        Self {
            instance,
            lock: None,
            layer_roots,
            base_roots: Vec::new(),
            uids: UidRange::default(),
            max_workers: 512,
            allow_unconfined_network: false,
        }
    }
}
