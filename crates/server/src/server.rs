//! The wiring: everything that one server is made of, in the order in which it comes up and goes down.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::body::Body;
use dispatch_engine::{Clock, Controller, Entropy, Options, Reconciler};
use dispatch_gateway::{
    CallLimits, Gateway,
    listener::{self, Limits},
    tls::{ServerConfig, TlsError},
};
use dispatch_model::Kind;
use dispatch_runtime::layer::LayerError;
use dispatch_store::{Keyring, KeyringError, OpenError, ReadError, Store};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    brokers::Brokers,
    config::Settings,
    connector::Connector,
    consumers::FunctionWorkers,
    features::{self, run::Runs},
    first_start::{self, Addresses, FirstStartError},
    functions::Functions,
    http::{self, Authenticator},
    pip::Plan,
    platform::{Platform, Wakers},
    run_as::{RunAs, RunAsError},
    upkeep,
    workers::{Machine, Workers},
};

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
    #[error("listen on {address}: is something else listening there? Choose another with {key}")]
    Listen {
        key: &'static str,
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("open the keys")]
    Keys(#[from] KeyringError),
    #[error("open the store")]
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
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub machine: Machine,
    /// The machine's name, for the gateway's own certificate.
    pub host_name: Option<String>,
    /// Who a server that was started as root goes on as.
    pub run_as: Option<RunAs>,
    #[cfg(test)]
    pub faults: crate::faults::Faults,
}

/// Starts a server. It answers when this returns.
pub async fn start(settings: Settings, parts: Parts) -> Result<Running, StartError> {
    #[cfg(test)]
    let faults = parts.faults.clone();
    #[cfg(not(test))]
    let faults = crate::faults::Faults::default();
    let Parts { clock, entropy, machine, host_name, run_as, .. } = parts;
    let host_names: Vec<String> = host_name.into_iter().collect();
    let lock = lock(&settings)?;
    let keyring = Keyring::open(&settings.keys)?;
    let options = dispatch_store::Options::new(settings.data.join("dispatch.db"), keyring);
    let (store, system) = Store::open(options).await?;
    let control_plane = bind("listen", settings.listen).await?;
    let gateway = bind("gateway_listen", settings.gateway_listen).await?;
    let gateway_tls = bind("gateway_tls_listen", settings.gateway_tls_listen).await?;
    let addresses = Addresses {
        control_plane: local_address("listen", &control_plane, settings.listen)?,
        gateway: local_address("gateway_listen", &gateway, settings.gateway_listen)?,
        gateway_tls: local_address(
            "gateway_tls_listen",
            &gateway_tls,
            settings.gateway_tls_listen,
        )?,
    };
    let certificate =
        dispatch_gateway::tls::load_or_create(&settings.data.join("tls"), &host_names)?;
    let found = first_start::prepare(&store, &system, clock.as_ref(), entropy.as_ref()).await?;
    if !settings.client_config.as_os_str().is_empty() {
        let key = found.new_key.as_deref();
        first_start::write_client_config(&settings.client_config, addresses, key)?;
    }
    // From here on foreign words are read: brokers', callers', functions'.
    if let Some(user) = run_as {
        user.take_over(&[&settings.data, &settings.keys])?;
    }
    let connector = Arc::new(Connector::new(settings.allow_private_addresses));
    connector.set_own(vec![addresses.control_plane, addresses.gateway, addresses.gateway_tls]);
    let layers = settings.data.join("layers");
    let pip = Plan::new(&settings.build.pip);
    let workers = Arc::new(Workers::new(machine, layers, Arc::clone(&connector), pip)?);
    let stop = CancellationToken::new();
    let mut controllers = Vec::new();
    let platform = Arc::new_cyclic(|weak| {
        let reconcilers: Vec<(Kind, Arc<dyn Reconciler>)> = vec![
            (Kind::ServiceBroker, Arc::new(features::service_broker::Controller(weak.clone()))),
            (
                Kind::ServiceInstance,
                Arc::new(features::service_instance::Controller::new(weak.clone())),
            ),
            (
                Kind::ServiceBinding,
                Arc::new(features::service_binding::Controller::new(weak.clone())),
            ),
            (Kind::Orphan, Arc::new(features::orphan::Controller(weak.clone()))),
            (Kind::BaseImage, Arc::new(features::base_image::Controller(weak.clone()))),
            (Kind::Image, Arc::new(features::image::Controller(weak.clone()))),
            (Kind::Function, Arc::new(features::function::Controller(weak.clone()))),
        ];
        let mut wakers = BTreeMap::new();
        for (kind, reconciler) in reconcilers {
            let (clock, entropy) = (Arc::clone(&clock), Arc::clone(&entropy));
            let controller = Controller::new(reconciler, clock, entropy, Options::default());
            wakers.insert(kind, controller.waker());
            controllers.push(controller);
        }
        let bindings = wakers.get(&Kind::ServiceBinding).cloned();
        let bindings = bindings.expect("the controller of bindings is in the list above");
        Platform {
            store,
            system,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            authenticator: Authenticator::new(found.administrators, settings.skip_auth),
            brokers: Brokers::new(Arc::clone(&connector), settings.broker_timeout_ms),
            wakers: Wakers::new(wakers),
            consumers: Arc::new(FunctionWorkers::new(Arc::clone(&workers), bindings)),
            workers,
            functions: Functions::default(),
            runs: Runs::default(),
            gateway: Gateway::new(
                Arc::new(features::api::Invoker(weak.clone())),
                CallLimits::default(),
            ),
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
    features::run::resume(&platform).await;
    let service = http::router(Arc::clone(&platform));
    let service = service
        .map_request(|request: ::http::Request<hyper::body::Incoming>| request.map(Body::new));
    let limits = Limits::default();
    let serving = listener::serve(control_plane, None, service, limits, stop.clone());
    tasks.spawn(async move {
        serving.await;
    });
    let tls = Arc::new(ArcSwap::from(certificate.config));
    for (listener, tls) in [(gateway, None), (gateway_tls, Some(Arc::clone(&tls)))] {
        let (service, stop) = (platform.gateway.clone(), stop.clone());
        tasks.spawn(async move {
            listener::serve(listener, tls, service, Limits::default(), stop).await;
        });
    }
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
        let end = Instant::now() + DRAIN;
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        let _ = tokio::time::timeout_at(end, self.platform.gateway.calls_ended()).await;
        // What has not ended by now ends with its worker, and says so at the next start.
        self.platform.runs.tasks.close();
        let _ = tokio::time::timeout_at(end, self.platform.runs.tasks.wait()).await;
        self.platform.workers.pools.close(end.saturating_duration_since(Instant::now())).await;
        self.platform.store.clone().close().await;
    }

    #[cfg(test)]
    pub(crate) const fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }
}

/// How long calls may take to end, from the request to stop on (decision 19a).
const DRAIN: Duration = Duration::from_secs(30);

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

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { key, address, source })
}

fn local_address(
    key: &'static str,
    listener: &TcpListener,
    address: SocketAddr,
) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Listen { key, address, source })
}
