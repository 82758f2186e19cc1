//! A world whose processes are in real sandboxes, for what cannot be tried without one.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc};

use dispatch_engine::Entropy as _;
use dispatch_runtime::spawner::{Spawner, SpawnerConfig, start};

use super::World;
use crate::packages::Build;

impl World {
    /// Must be called inside a tokio runtime. Where packages come from, `build` says.
    pub fn sandboxed(build: Build) -> Self {
        let mut world = Self::new();
        // Not in memory: programs can be started from there, and libraries loaded, on every machine.
        let directory = tempfile::Builder::new().prefix("dispatch-server-").tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        world.directory = Arc::new(directory);
        let layers = world.directory.path().join("data/layers");
        std::fs::create_dir_all(&layers).unwrap();
        let mut config = SpawnerConfig::new(world.entropy.uuid(), vec![layers]);
        let executable: PathBuf = std::env::current_exe().unwrap();
        config.base_roots = vec![executable.parent().unwrap().to_owned()];
        config.base_roots.extend(build.directories());
        world.spawner = Some(Arc::new(Spawner::new(start(&config).unwrap()).unwrap()));
        world.build = build;
        world
    }
}
