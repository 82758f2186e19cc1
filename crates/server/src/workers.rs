//! This machine's function workers, as the features see them: pools, builds, and the interpreters that the machine has.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dispatch_runtime::{
    build::Builder,
    host::{self, HostError, Interpreter},
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
    pip::Plan,
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
    pub pip: Plan,
    /// The only way out of a build.
    pub proxy: Proxy,
    /// The `PATH` of the server's environment: where interpreters are looked for.
    path: Option<std::ffi::OsString>,
    /// The one that was found, as long as it is what the machine has.
    python3: Mutex<Option<Python>>,
}

/// The machine's Python, and what all its workers have in common.
#[derive(Debug, Clone)]
pub struct Python {
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
        pip: Plan,
    ) -> Result<Self, LayerError> {
        let Machine { spawner, ambient, confinement, executable, path } = machine;
        let proxy = Proxy::new(pip.rules.clone(), Limits::default(), Arc::clone(&connector));
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
            pip,
            proxy,
            path,
            python3: Mutex::default(),
        })
    }

    /// The machine's Python. Asking it takes tens of milliseconds, so it is asked once, and again when it changes.
    pub async fn python3(&self) -> Result<Python, HostError> {
        let known = self.known_python3().clone();
        let known = known.filter(|python| python.interpreter.is_current());
        if let Some(known) = known {
            return Ok(known);
        }
        let path = self.path.clone();
        let asked = tokio::task::spawn_blocking(move || host::python3(path.as_deref())).await;
        let found = match asked {
            Ok(found) => found?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let program = Arc::new(Program::python3(&found));
        let found = Python { interpreter: Arc::new(found), program };
        *self.known_python3() = Some(found.clone());
        Ok(found)
    }

    fn known_python3(&self) -> MutexGuard<'_, Option<Python>> {
        self.python3.lock().unwrap_or_else(PoisonError::into_inner)
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
