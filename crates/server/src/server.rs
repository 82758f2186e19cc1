//! The wiring: everything that one server is made of, in the order in which it comes up and goes down.

mod controllers;
mod listeners;

use std::{
    fs::{File, TryLockError},
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use dispatch_engine::{Clock, Entropy};
use dispatch_gateway::{
    CallLimits, Gateway,
    tls::{self, ServerConfig, TlsError},
};
use dispatch_runtime::layer::LayerError;
use dispatch_store::{Keyring, KeyringError, OpenError, ReadError, Store};
use jiff::Timestamp;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use controllers::Controllers;
pub use listeners::Listeners;

pub use crate::first_start::Addresses;

use crate::{
    brokers::Brokers,
    config::Settings,
    connector::Connector,
    consumers::FunctionWorkers,
    faults::Faults,
    features::{self, run::Runs},
    first_start::{self, FirstStartError},
    functions::Functions,
    http::Authenticator,
    included::Included,
    platform::{Platform, Wakers},
    run_as::{RunAs, RunAsError},
    upkeep,
    workers::{Machine, Workers},
};

/// How long runs whose workers have ended may take to reach the store.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// A server that answers.
#[derive(Debug)]
pub struct Running {
    pub addresses: Addresses,
    /// True if this start made the administrator's key.
    pub is_first: bool,
    pub(crate) settings: Settings,
    pub(crate) platform: Arc<Platform>,
    pub(crate) connector: Arc<Connector>,
    /// The gateway's certificate, and for whom one of our own is made.
    pub(crate) tls: Arc<ArcSwap<ServerConfig>>,
    pub(crate) host_names: Vec<String>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _lock: File,
}

/// Why a server does not start. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("make the directory {path}")]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "another server uses {path}: stop that one, or give this one a data directory of its own"
    )]
    Locked { path: PathBuf },
    /// `key` is the setting's.
    #[error("listen on {address}")]
    Listen {
        key: &'static str,
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("serve what it listens on")]
    Serve(#[source] io::Error),
    #[error("open the keys")]
    Keys(#[from] KeyringError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("open the layers")]
    Layers(#[from] LayerError),
    #[error("prepare the gateway's certificate")]
    Certificate(#[from] TlsError),
    #[error("read what is served")]
    Read(#[from] ReadError),
    #[error("prepare the first start")]
    FirstStart(#[from] FirstStartError),
    #[error("give up root's rights")]
    RunAs(#[from] RunAsError),
}

/// What a server takes from its surroundings.
#[derive(Debug)]
pub struct Parts {
    pub listeners: Listeners,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub machine: Machine,
    /// The machine's name, for the gateway's own certificate.
    pub host_name: Option<String>,
    /// Who a server that was started as root goes on as.
    pub run_as: Option<RunAs>,
    #[cfg(test)]
    pub faults: Faults,
}

impl Parts {
    fn faults(&self) -> Faults {
        #[cfg(test)]
        return self.faults.clone();
        #[cfg(not(test))]
        Faults::default()
    }
}

/// Starts a server. It answers when this returns.
pub async fn start(settings: Settings, parts: Parts) -> Result<Running, StartError> {
    let faults = parts.faults();
    let Parts { listeners, clock, entropy, machine, host_name, run_as, .. } = parts;
    let addresses = listeners.addresses;
    let host_names: Vec<String> = host_name.into_iter().collect();
    let lock = lock(&settings)?;
    let keyring = Keyring::open_of(&settings.keys, run_as.as_ref().map(RunAs::uid))?;
    let options = dispatch_store::Options::new(settings.data.join("dispatch.db"), keyring);
    let (store, system) = Store::open(options).await?;
    let certificate = tls::load_or_create(&settings.data.join("tls"), &host_names)?;
    let found = first_start::prepare(&store, &system, clock.as_ref(), entropy.as_ref()).await?;
    let (key, config) = (found.new_key.as_deref(), &settings.client_config);
    first_start::write_client_config(config, addresses, key)?;
    // From here on foreign words are read: brokers', callers', functions'.
    if let Some(user) = run_as {
        user.take_over(&[&settings.data, &settings.keys])?;
    }
    let connector = Arc::new(Connector::new(settings.allow_private_addresses));
    connector.set_own(vec![addresses.control_plane, addresses.gateway, addresses.gateway_tls]);
    let layers = settings.data.join("layers");
    let (program, brokers) = (machine.executable.clone(), settings.data.join("brokers"));
    let workers =
        Arc::new(Workers::new(machine, layers, Arc::clone(&connector), settings.build.plans())?);
    let stop = CancellationToken::new();
    let mut controllers = Vec::new();
    let platform = Arc::new_cyclic(|weak| {
        let made = Controllers::new(weak, &clock, &entropy);
        let consumers = FunctionWorkers::new(Arc::clone(&workers), made.of_bindings());
        let (log, waker) = (settings.log.clone(), made.of_brokers());
        let included = Included::new(program, brokers, log, Arc::clone(&connector), waker);
        let invoker = Arc::new(features::api::Invoker(weak.clone()));
        controllers = made.all;
        Platform {
            store,
            system,
            clock,
            entropy,
            authenticator: Authenticator::new(found.administrators, settings.skip_auth),
            brokers: Brokers::new(Arc::clone(&connector), included, settings.broker_timeout_ms),
            wakers: Wakers::new(made.wakers),
            consumers: Arc::new(consumers),
            workers,
            functions: Functions::default(),
            runs: Runs::default(),
            gateway: Gateway::new(invoker, CallLimits::default()),
            publishing: tokio::sync::Mutex::default(),
            organizations: RwLock::default(),
            faults,
            stopping: stop.clone(),
        }
    });
    // Routes are served from the first moment on: nothing is lost by a restart.
    features::api::publish(&platform).await?;
    let mut tasks = JoinSet::new();
    for controller in controllers {
        tasks.spawn(controller.run(stop.clone()));
    }
    tasks.spawn(features::function::follow(Arc::clone(&platform)));
    tasks.spawn(upkeep::keep(Arc::clone(&platform)));
    features::run::resume(&platform).await?;
    features::service_broker::sweep(&platform).await?;
    let tls = Arc::new(ArcSwap::from(certificate.config));
    listeners.serve(&platform, &tls, &mut tasks, &stop).map_err(StartError::Serve)?;
    let is_first = found.new_key.is_some();
    Ok(Running {
        addresses,
        is_first,
        settings,
        platform,
        connector,
        tls,
        host_names,
        stop,
        tasks,
        _lock: lock,
    })
}

impl Running {
    /// Stops accepting, finishes calls, leaves what brokers work on recorded, and closes the store.
    pub async fn stop(mut self) {
        let end = Instant::now() + Duration::from_millis(self.settings.stop_timeout_ms);
        self.stop.cancel();
        self.platform.runs.tasks.close();
        let all_have_ended = async {
            while self.tasks.join_next().await.is_some() {}
            self.platform.gateway.calls_ended().await;
            self.platform.runs.tasks.wait().await;
        };
        if tokio::time::timeout_at(end, all_have_ended).await.is_err() {
            // What is under way with a broker or in a build is recorded, and taken up at the next start. What has not
            // ended of a call ends with its worker, and says so.
            self.tasks.shutdown().await;
        }
        let left = end.saturating_duration_since(Instant::now());
        let brokers = &self.platform.brokers.included;
        tokio::join!(self.platform.workers.pools.close(left), brokers.stop());
        // What has just been cut off is recorded.
        let _in_vain = tokio::time::timeout(LAST_RECORDS, self.platform.runs.tasks.wait()).await;
        self.platform.store.clone().close().await;
    }

    /// When a controller has something to do next, which may be now; `None` if only a wake-up can bring something. For
    /// whoever moves the clock.
    pub fn busy_at(&self) -> Option<Timestamp> {
        let (now, wakers) = (self.platform.clock.now(), self.platform.wakers.all());
        wakers.filter_map(|(_, waker)| waker.busy_at(now)).min()
    }

    #[cfg(test)]
    pub(crate) const fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }
}

/// One server for one data directory (decision 17).
fn lock(settings: &Settings) -> Result<File, StartError> {
    let directory = |path: &std::path::Path| {
        std::fs::create_dir_all(path)
            .map_err(|source| StartError::Directory { path: path.to_owned(), source })
    };
    directory(&settings.data)?;
    let path = settings.data.join("server.lock");
    let file = File::create(&path)
        .map_err(|source| StartError::Directory { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::Locked { path: settings.data.clone() }),
        Err(TryLockError::Error(source)) => Err(StartError::Directory { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use dispatch_osb::fake::{CallKind, Fault};
    use serde_json::json;

    use super::*;
    use crate::testing::{TestPlatform, TestServer, World};

    #[tokio::test]
    async fn a_broker_that_says_nothing_does_not_keep_a_server_from_stopping() {
        let (stop_timeout, broker_timeout) = (Duration::from_millis(200), Duration::from_secs(900));
        let platform =
            TestPlatform::in_world(World { stop_timeout, broker_timeout, ..World::new() }).await;
        platform.broker.fault(CallKind::Provision, Fault::HangBefore);
        platform
            .post("/v1/serviceinstance", &json!({"name": "db", "serviceClass": "fake-kv"}))
            .await;
        platform.broker.until("the request", |books| books.hanging == 1).await;
        let TestPlatform { server, broker } = platform;
        let world = server.world.clone();
        let stopped = tokio::time::timeout(Duration::from_secs(60), server.running.stop()).await;
        stopped.expect("it waits for the broker");
        // What was under way was recorded, and is sent again.
        let server = TestServer::start_in(world).await;
        broker.release();
        assert_eq!(server.becomes("/v1/serviceinstance/db", "READY").await["name"], "db");
        assert_eq!(broker.books().instances.len(), 1);
        server.running.stop().await;
    }
}
