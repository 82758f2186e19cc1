//! The shared server where the broker runs it itself: one cluster, made at the first start, adopted
//! by the next, started again when it dies. Like the dedicated ones it outlives the broker.
//!
//! It is ready before the broker is, so that there is nothing here that a request could wait for.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::super::credentials::Reach;
use super::super::session::{Steps, Target, Timeouts};
use super::super::tls::{self, Tls};
use super::cluster::{Cluster, Configuration};
use super::error::ClusterError;
use super::options::{self, DedicatedError};
use super::ports::PortRange;
use super::postmaster;
use super::processes::Process;
use crate::account::{self, Account};
use crate::certificates::Authority;
use crate::data::DataDirectory;
use crate::keys::{self, BrokerKey};

/// Its directory below that of the clusters, and what its password is derived for.
const NAME: &str = "managed";
/// Of all instances together.
const CONNECTIONS: u16 = 500;
/// For the temporary files of one session.
const STORAGE_BYTES: u64 = 10 << 30;
/// For it to start; longer after a crash.
const START: Duration = Duration::from_secs(120);
/// The first pause after it died, and the longest; what ran so long begins again with the first.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const WELL: Duration = Duration::from_secs(60);
/// How often its log is looked at.
const LOG_LOOK: Duration = Duration::from_secs(5);

/// Settings of a shared server that the broker runs, on loopback.
#[derive(Debug, Clone)]
pub struct ManagedOptions {
    /// The port that it gets, and keeps, unless `port` says which.
    pub ports: PortRange,
    pub port: Option<u16>,
    /// Where `postgres` and `initdb` are. By default the newest under `/usr/lib/postgresql`.
    pub programs: Option<PathBuf>,
    /// Whether what was committed survives a power failure; not in tests.
    #[doc(hidden)]
    pub durable: bool,
}

impl ManagedOptions {
    /// A port of that range, the installed PostgreSQL.
    pub fn new(ports: PortRange) -> Self {
        Self { ports, port: None, programs: None, durable: true }
    }
}

/// Why there is no such server.
#[derive(Debug, thiserror::Error)]
pub enum ManagedError {
    /// No programs.
    #[error("a PostgreSQL of the broker's own needs PostgreSQL's programs on this machine")]
    Programs(#[source] io::Error),
    /// No user.
    #[error("a PostgreSQL of the broker's own has no user to run as")]
    Account(#[source] io::Error),
    /// Its directory, its certificate.
    #[error(transparent)]
    Machine(#[from] DedicatedError),
    /// Its port.
    #[error("{} cannot be used", path.display())]
    File { path: PathBuf, source: io::Error },
    /// No port of the range is free.
    #[error("no port of {range} is free for a PostgreSQL of the broker's own")]
    NoPort { range: PortRange },
    /// Somebody else has its port, which it keeps.
    #[error(
        "port {port} of the broker's own PostgreSQL is in use by another program: end that one, or choose a port with \
         --param port=PORT"
    )]
    PortTaken { port: u16 },
    /// The cluster itself; its words.
    #[error("the PostgreSQL of the broker's own does not run: {0}")]
    Cluster(String),
}

/// One that runs, with the process that was seen last.
pub(in super::super) struct Managed {
    cluster: Cluster,
    configuration: Configuration,
    authority_pem: String,
    tls: Tls,
    process: Process,
}

impl Managed {
    /// Has it run: made, adopted or started.
    pub(in super::super) async fn open(
        settings: &ManagedOptions,
        data: &DataDirectory,
        key: &BrokerKey,
    ) -> Result<Self, ManagedError> {
        let account = Account::find().map_err(ManagedError::Account)?;
        let programs = match &settings.programs {
            Some(path) => path.clone(),
            None => account::programs().map_err(ManagedError::Programs)?,
        };
        let clusters = data.file("clusters");
        options::make_way(account, data, &clusters)?;
        let authority = Authority::load_or_create(data.path(), "Dispatch broker postgresql")
            .map_err(DedicatedError::from)?;
        let tls = tls::verify_full(&authority.pem).map_err(DedicatedError::from)?;
        let cluster = Cluster { directory: clusters.join(NAME), account, programs };
        let is_new = !cluster.is_initialised();
        if is_new {
            tracing::info!("initialising a PostgreSQL of the broker's own");
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST).to_string();
            let certificate = authority.sign(&["localhost".to_owned(), address]);
            let certificate = certificate.map_err(DedicatedError::from)?;
            let verifier = key.administrator_verifier(NAME);
            cluster.initialise(&certificate, &verifier).await.map_err(in_words)?;
        }
        let mut in_use = BTreeSet::new();
        loop {
            let port = port(settings, data, &in_use)?;
            let configuration = Configuration {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                port,
                connections: CONNECTIONS,
                storage_bytes: STORAGE_BYTES,
                durable: settings.durable,
            };
            match run(&cluster, &configuration).await {
                // Nobody has been told of the port yet.
                Err(ClusterError::PortTaken) if is_new && settings.port.is_none() => {
                    in_use.insert(port);
                }
                Err(ClusterError::PortTaken) => return Err(ManagedError::PortTaken { port }),
                process => {
                    let process = process.map_err(in_words)?;
                    if is_new && settings.durable {
                        cluster.sync().await.map_err(in_words)?;
                    }
                    let authority_pem = authority.pem;
                    return Ok(Self { cluster, configuration, authority_pem, tls, process });
                }
            }
        }
    }

    /// How the broker connects to it.
    pub(in super::super) fn target(
        &self,
        key: &BrokerKey,
        timeouts: Timeouts,
        steps: Steps,
    ) -> Target {
        let address = (self.configuration.address, self.configuration.port).into();
        let password = key.administrator_password(NAME);
        super::target(address, &password, self.tls.clone(), timeouts, steps)
    }

    /// How functions reach it.
    pub(in super::super) fn reach(&self) -> Reach {
        Reach {
            host: self.configuration.address.to_string(),
            port: self.configuration.port,
            tls: true,
            ca_pem: Some(self.authority_pem.clone()),
        }
    }

    /// Starts it again whenever it dies, less and less often, for ever.
    pub(in super::super) async fn keep(self) {
        let Self { cluster, configuration, mut process, .. } = self;
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            while timeout(LOG_LOOK, process.ended()).await.is_err() {
                cut_log(&cluster).await;
            }
            tracing::error!(pid = process.pid, "the PostgreSQL of the broker's own has ended");
            if began.elapsed() > WELL {
                pause = FIRST_PAUSE;
            }
            process = loop {
                match run(&cluster, &configuration).await {
                    Ok(process) => break process,
                    Err(error) => {
                        let pause_ms = pause.as_millis();
                        tracing::error!(%error, pause_ms, "the PostgreSQL of the broker's own does not run");
                        sleep(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            };
            tracing::info!(pid = process.pid, "the PostgreSQL of the broker's own runs again");
        }
    }
}

/// Who uses a database can have PostgreSQL log what they like, next to everybody's data.
async fn cut_log(cluster: &Cluster) {
    let cluster = cluster.clone();
    let cut = spawn_blocking(move || cluster.cut_log()).await;
    if let Err(error) = cut.unwrap_or_else(|_| Err(io::Error::other("interrupted"))) {
        tracing::warn!(%error, "the log of the PostgreSQL of the broker's own was not cut");
    }
}

/// Has it run with those settings: one that runs with others, as after a new port, is stopped before.
async fn run(cluster: &Cluster, wanted: &Configuration) -> Result<Process, ClusterError> {
    let changed = cluster.configure(wanted)?;
    if changed {
        postmaster::stop(cluster).await?;
    }
    match postmaster::find(cluster)? {
        Some(process) => {
            tracing::info!(pid = process.pid, "adopted");
            postmaster::wait(cluster, &process, Some(START)).await?;
            Ok(process)
        }
        None => postmaster::start(cluster, Some(START)).await,
    }
}

/// The port that it keeps: the one that was asked for, else the one that was written down, else a free one.
fn port(
    settings: &ManagedOptions,
    data: &DataDirectory,
    in_use: &BTreeSet<u16>,
) -> Result<u16, ManagedError> {
    let path = data.file("managed.port");
    let failed = |source| ManagedError::File { path: path.clone(), source };
    if let Some(port) = settings.port {
        return Ok(port);
    }
    let known = match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    if let Some(port) = known.filter(|port| !in_use.contains(port)) {
        return Ok(port);
    }
    let range = settings.ports.clone();
    let port = range.free(IpAddr::V4(Ipv4Addr::LOCALHOST), in_use);
    let port = port.ok_or(ManagedError::NoPort { range })?;
    keys::write_whole(&path, port.to_string().as_bytes()).map_err(failed)?;
    Ok(port)
}

fn in_words(error: ClusterError) -> ManagedError {
    ManagedError::Cluster(error.to_string())
}
