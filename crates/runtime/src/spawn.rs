//! What a worker process needs and what one gets: the port between pools and whoever starts processes.
//!
//! Nothing here starts a process. [`crate::spawner`] does it in a sandbox (the product);
//! [`DirectSpawner`] does it with no protection (benches and the twins of attack tests only).

mod confinement;
mod direct;
mod error;
mod process;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use confinement::{Confinement, Layer, LayerState};
pub use direct::DirectSpawner;
pub use error::SpawnError;
pub(crate) use process::pss_bytes;
pub use process::{Control, Exit, Process};

/// Whoever starts worker processes on this machine.
pub trait Spawn: Send + Sync + std::fmt::Debug {
    /// Starts one worker and answers once its process is about to execute `spec.argv`.
    fn spawn(&self, spec: WorkerSpec) -> BoxFuture<'_, Result<Spawned, SpawnError>>;
}

/// All that one worker process needs. The worker finds its channel, an `AF_UNIX SOCK_STREAM`
/// socket, at descriptor 3, `/dev/null` at 0, and pipes at 1 and 2. Nothing else is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// Names cgroups and scratch directories. Never used twice.
    pub id: Uuid,
    /// Whose code runs. No host uid is ever given to two organizations at one time.
    pub organization: Uuid,
    /// The program by its absolute path inside, then its arguments.
    pub argv: Vec<String>,
    /// The whole environment: nothing is inherited. PATH, HOME and LANG are set unless given here.
    pub environment: Vec<(String, String)>,
    pub root: RootSpec,
    pub limits: Limits,
    pub network: NetworkSpec,
    /// 0o077 for functions, 0o022 for builds (decision 35).
    pub umask: u32,
}

impl WorkerSpec {
    /// A function worker with default limits, no network and an empty environment.
    #[must_use]
    pub fn new(id: Uuid, organization: Uuid, argv: Vec<String>, root: RootSpec) -> Self {
        Self {
            id,
            organization,
            argv,
            environment: Vec::new(),
            root,
            limits: Limits::default(),
            network: NetworkSpec::None,
            umask: 0o077,
        }
    }
}

/// The file system of a worker: a base of this machine and layers on it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RootSpec {
    pub base: HostBase,
    pub layers: Vec<LayerMount>,
}

/// What of this machine a worker sees, always read-only. Made by [`crate::host`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HostBase {
    /// Files and directories: where on the host, where inside (`/usr`, an interpreter's prefix).
    pub mounts: Vec<(PathBuf, PathBuf)>,
    /// Symbolic links inside: path, target (`/bin` → `usr/bin`).
    pub links: Vec<(PathBuf, PathBuf)>,
}

/// A directory or file of the data directory that appears inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerMount {
    /// Must lie under an allowed root of the spawner, with no symbolic link on the way.
    pub host: PathBuf,
    /// Absolute; `/proc`, `/dev`, `/etc` and `/tmp` themselves are refused.
    pub inside: PathBuf,
    /// A writable layer is for builds; what is written there belongs to the server's user on the host.
    pub read_only: bool,
}

/// The bounds of one worker (decision 37).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all processes of the worker, its /tmp included where cgroups are there.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u32,
    /// Thousandths of a core.
    pub cpu_millis: u32,
    /// Size of /tmp.
    pub tmp_bytes: u64,
    /// Open descriptors per process.
    pub descriptors: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            processes: 64,
            cpu_millis: 1000,
            tmp_bytes: 64 << 20,
            descriptors: 256,
        }
    }
}

/// What a worker can reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkSpec {
    /// An empty network namespace with its own loopback.
    None,
    /// The same, and these endpoints, each through a listener of [`Spawned::listeners`].
    Bound(Vec<Endpoint>),
    /// The network of the host. Never from users: only for the twins of attack tests.
    Unconfined,
}

/// Something a worker may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// A literal IP address or a host name.
    pub host: String,
    pub port: u16,
}

/// A worker that was started.
#[derive(Debug)]
pub struct Spawned {
    /// The server's end of the worker's descriptor 3. Non-blocking, close-on-exec, as are the others.
    pub channel: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    pub process: Process,
    /// A listening TCP socket inside the worker's network for each endpoint: feed it to the relay.
    pub listeners: Vec<(Endpoint, OwnedFd)>,
    pub confinement: Confinement,
}
