//! This machine's function workers, as the features see them: pools, builds, and the interpreters that the machine has.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dispatch_runtime::{
    build::Builder,
    host::{self, HostError, Interpreter, Language},
    layer::{LayerError, Layers},
    network::Dial,
    pool::{self, Pools},
    revision::Program,
    spawn::{Endpoint, Spawn},
    worker::Ambient,
};
use futures::future::BoxFuture;
use tokio::net::TcpStream;

use crate::{
    connector::Connector,
    packages::Plans,
    proxy::{Limits, Proxy},
};

/// Builds that run at a time.
const PARALLEL_BUILDS: usize = 2;

/// One per server.
#[derive(Debug)]
pub struct Workers {
    pub pools: Pools,
    pub builder: Builder,
    pub spawner: Arc<dyn Spawn>,
    pub ambient: Ambient,
    /// Which layers of the sandbox hold workers here, for people.
    pub confinement: String,
    /// How packages are installed, and from where.
    pub packages: Plans,
    /// The only way out of a build.
    pub proxy: Proxy,
    /// The `PATH` of the server's environment: where interpreters are looked for.
    path: Option<std::ffi::OsString>,
    /// Those that were found, as long as they are what the machine has.
    hosts: Mutex<BTreeMap<Language, Host>>,
}

/// An interpreter of the machine, and what all its workers have in common.
#[derive(Debug, Clone)]
pub struct Host {
    pub interpreter: Arc<Interpreter>,
    pub program: Arc<Program>,
}

/// What the wiring knows and the workers need.
#[derive(Debug)]
pub struct Machine {
    /// Starts processes in sandboxes.
    pub spawner: Arc<dyn Spawn>,
    pub ambient: Ambient,
    /// What the spawner says of its sandboxes.
    pub confinement: String,
    /// Our own program: it unpacks sources, in a sandbox.
    pub executable: PathBuf,
    pub path: Option<std::ffi::OsString>,
}

impl Workers {
    /// Must be called inside a tokio runtime, which then runs the pools' tasks.
    pub fn new(
        machine: Machine,
        layers: PathBuf,
        connector: Arc<Connector>,
        packages: Plans,
    ) -> Result<Self, LayerError> {
        let Machine { spawner, ambient, confinement, executable, path } = machine;
        let proxy = Proxy::new(Limits::default(), Arc::clone(&connector));
        let dial: Arc<dyn Dial> = Arc::new(Outbound(connector));
        let layers = Layers::open(layers)?;
        let pools =
            Pools::new(Arc::clone(&spawner), Some(dial), ambient, pool::Settings::default());
        let builder = Builder::new(
            Arc::clone(&spawner),
            Some(Arc::new(proxy.clone())),
            layers,
            ambient,
            executable,
            PARALLEL_BUILDS,
        );
        Ok(Self {
            pools,
            builder,
            spawner,
            ambient,
            confinement,
            packages,
            proxy,
            path,
            hosts: Mutex::default(),
        })
    }

    /// The machine's interpreter. Asking it takes tens of milliseconds, so it is asked once, and again when it changes.
    pub async fn host(&self, language: Language) -> Result<Host, HostError> {
        let known = self.hosts().get(&language).cloned();
        let known = known.filter(|host| host.interpreter.is_current());
        if let Some(known) = known {
            return Ok(known);
        }
        let path = self.path.clone();
        let asked = tokio::task::spawn_blocking(move || host::find(language, path.as_deref()));
        let found = match asked.await {
            Ok(found) => found?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let program = Arc::new(Program::of(&found));
        let found = Host { interpreter: Arc::new(found), program };
        self.hosts().insert(language, found.clone());
        Ok(found)
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<Language, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How workers get out: through the one connector (decision 24).
#[derive(Debug)]
struct Outbound(Arc<Connector>);

impl Dial for Outbound {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<TcpStream>> {
        Box::pin(self.0.connect(&endpoint.host, endpoint.port))
    }
}
