//! A sandboxing spawner, layers, a builder and pools on them, in a temporary directory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use dispatch_runtime::build::{BuildError, Builder, Built, SourceBuild};
use dispatch_runtime::host::{Interpreter, Language, find};
use dispatch_runtime::layer::{Digest, Layers};
use dispatch_runtime::network::Dial;
use dispatch_runtime::pool::{Pools, Settings};
use dispatch_runtime::revision::{Program, Revision, RevisionSpec};
use dispatch_runtime::spawn::HostBase;
use dispatch_runtime::spawner::{Spawner, SpawnerConfig, start};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use uuid::Uuid;

use super::support::{AMBIENT, FUNCTION, random};

pub(crate) const ORGANIZATION: Uuid = Uuid::from_u128(70);

pub(crate) struct Workshop {
    pub(crate) spawner: Arc<Spawner>,
    pub(crate) builder: Builder,
    pub(crate) pools: Pools,
    pub(crate) interpreter: Interpreter,
    pub(crate) dir: TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self::dialling(None)
    }

    pub(crate) fn dialling(dial: Option<Arc<dyn Dial>>) -> Self {
        let dir = TempDir::with_prefix("dispatch-workers-").unwrap();
        let layers = Layers::open(dir.path().join("layers")).unwrap();
        let executable = std::env::current_exe().unwrap().canonicalize().unwrap();
        let shelf = dir.path().join("shelf");
        std::fs::create_dir(&shelf).unwrap();
        open_to_all(dir.path());
        let interpreter = find(Language::Python3, None).unwrap();
        let instance = Uuid::from_u64_pair(random(), random() ^ u64::from(std::process::id()));
        let mut config = SpawnerConfig::new(instance, vec![layers.root().to_owned()]);
        config.base_roots = vec![executable.parent().unwrap().to_owned(), shelf];
        let spawner = Arc::new(Spawner::new(start(&config).unwrap()).unwrap());
        let builder = Builder::new(spawner.clone(), dial.clone(), layers, AMBIENT, executable, 2);
        let pools = Pools::new(spawner.clone(), dial, AMBIENT, Settings::default());
        Self { spawner, builder, pools, interpreter, dir }
    }

    pub(crate) fn base(&self) -> HostBase {
        self.interpreter.base()
    }

    /// A directory of the machine that jobs may have mounted.
    pub(crate) fn shelf(&self) -> PathBuf {
        self.dir.path().join("shelf")
    }

    pub(crate) async fn unpack(&self, archive: Vec<u8>) -> Result<Built, BuildError> {
        let archive = Bytes::from(archive);
        let source = SourceBuild { organization: ORGANIZATION, archive, base: self.base() };
        self.builder.unpack(source).await
    }

    /// Makes this text the function, with these dependencies.
    pub(crate) async fn deploy(&self, text: &str, dependencies: &[Digest]) {
        let code = self.layer(&[("./hello.py", text.as_bytes())]).await;
        let spec = self.spec(code, dependencies);
        self.pools.set(FUNCTION, Arc::new(Revision::new(spec)));
    }

    /// A layer of these files.
    pub(crate) async fn layer(&self, files: &[(&str, &[u8])]) -> Digest {
        let built = self.unpack(archive(files)).await;
        built.map_err(|error| error.reason()).unwrap().layer.digest()
    }

    pub(crate) fn spec(&self, code: Digest, dependencies: &[Digest]) -> RevisionSpec {
        let (layers, handler) = (self.builder.layers(), String::new());
        let python = &self.interpreter;
        let program = Arc::new(Program::of(python));
        RevisionSpec::new(ORGANIZATION, python, program, layers, code, dependencies, handler)
    }

    /// Names below the layers' directory: what is there, and what is left over.
    pub(crate) fn shelves(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.builder.layers().root()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub(crate) async fn finish(self) {
        self.pools.close(std::time::Duration::from_secs(20)).await;
        let left = self.pools.workers_with(|_| true);
        assert!(left.is_empty(), "workers are left over: {left:?}");
        let half: Vec<String> =
            self.shelves().into_iter().filter(|name| name.starts_with("making")).collect();
        assert!(half.is_empty(), "half-made trees are left over: {half:?}");
    }
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A gzip-compressed tar that is never closed, as the original client makes it.
pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, data) in files {
        tar.resize(tar.len().next_multiple_of(512), 0);
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(data.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(data);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&tar).unwrap();
    encoder.finish().unwrap()
}
