//! From settings to a running broker: lock, key, books, a check of PostgreSQL, then requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use dispatch_osb::broker::{Authentication, router};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::broker::PostgresBroker;
use super::check::{self, CheckError, Report};
use super::dedicated::{Dedicated, DedicatedError, Managed, ManagedError};
use super::extensions;
use super::options::{AdminUrlSource, Options, OptionsError};
use super::parameters::Offer;
use super::pool::Pool;
use super::server::{self, Server};
use super::session::Session;
use crate::books::{Books, BooksError};
use crate::data::{DataDirectory, DataError};
use crate::keys::{BrokerKey, KeyError};
use crate::listen::{self, Bounds};
use crate::turns::Turns;

/// Why the broker does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The settings.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The broker's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The books.
    #[error(transparent)]
    Books(#[from] BooksError),
    /// Servers of one's own.
    #[error(transparent)]
    Dedicated(#[from] DedicatedError),
    /// A shared server that the broker runs.
    #[error(transparent)]
    Managed(#[from] ManagedError),
    /// PostgreSQL.
    #[error(transparent)]
    NotReady(#[from] CheckError),
}

/// Examines PostgreSQL, without a broker: what `--check` of a command would print.
///
/// # Errors
/// The settings, or everything that is wrong with the server.
pub async fn check(options: &Options) -> Result<Report, ServeError> {
    let (target, _) = options.resolve()?;
    let target = Arc::new(target);
    let session = Session::open(&target, &target.database).await.map_err(CheckError::Asking)?;
    Ok(check::check(&session).await?)
}

/// Serves the broker on `listener` until `shutdown` ends, then finishes what is under way.
///
/// # Errors
/// As those of [`open`], before the first request.
pub async fn serve(
    options: Options,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    open(options).await?.serve(listener, shutdown).await;
    Ok(())
}

/// Makes a broker ready to serve: its data directory is its own, and PostgreSQL has been examined.
///
/// # Errors
/// Settings, data directory in use, key, books, or a PostgreSQL that cannot be used, with everything
/// that is wrong with it.
pub async fn open(options: Options) -> Result<Opened, ServeError> {
    let authentication = options.authentication()?;
    let directory = DataDirectory::open(&options.data_directory)?;
    let key = BrokerKey::load_or_create(&directory.file("broker.key"), &SystemRandom::new())?;
    let key = Arc::new(key);
    let books = Books::open(&directory.file("books.db"))?;
    let (target, reach, managed) = match &options.admin_url {
        AdminUrlSource::Managed(settings) => {
            let managed = Managed::open(settings, &directory, &key).await?;
            let target = managed.target(&key, options.timeouts, options.steps.clone());
            (target, managed.reach(), Some(managed))
        }
        _ => {
            let (target, reach) = options.resolve()?;
            (target, reach, None)
        }
    };
    let pool = Pool::new(target, options.connections);
    let report = server::ready(&pool, options.start).await?;
    for warning in &report.warnings {
        tracing::warn!(warning, "PostgreSQL");
    }
    tracing::info!(version = report.version, superuser = report.superuser, "PostgreSQL is ready");
    let dedicated = open_dedicated(&options, &directory, &books, &key).await?;
    let offer = Offer {
        shared: extensions_of(&pool).await?,
        dedicated: dedicated.as_ref().map(|dedicated| dedicated.extensions.clone()),
    };
    let under_way = TaskTracker::new();
    let broker = Arc::new(PostgresBroker {
        shared: Arc::new(Server { pool, reach, superuser: report.superuser }),
        dedicated,
        offer,
        books,
        key,
        turns: Turns::default(),
        timeouts: options.timeouts,
        steps: options.steps.clone(),
        under_way,
    });
    let keeper = managed.map(|managed| tokio::spawn(managed.keep()));
    Ok(Opened { broker, authentication, keeper, stop: options.stop, directory })
}

/// A broker that is ready to serve.
pub struct Opened {
    broker: Arc<PostgresBroker>,
    authentication: Authentication,
    /// Of the shared server, where the broker runs it.
    keeper: Option<JoinHandle<()>>,
    stop: Duration,
    /// Locked until the end.
    directory: DataDirectory,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Opened {
    /// Serves requests until `shutdown` ends, then finishes what is under way. Servers that the
    /// broker runs go on.
    ///
    /// The listener speaks plain HTTP: it belongs on loopback or behind something that speaks TLS.
    /// Besides the API there is `GET /readyz`, under the same authentication: 200, or 503 with
    /// what is wrong with PostgreSQL.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let Self { broker, authentication, keeper, stop, directory } = self;
        let ready = Router::new()
            .route("/readyz", get(ready))
            .with_state(Arc::new((Arc::clone(&broker), authentication.clone())));
        let routes = router(Arc::clone(&broker) as _, authentication).merge(ready);
        listen::serve(listener, routes, shutdown, Bounds { stop, ..Bounds::default() }).await;
        broker.under_way.close();
        if timeout(stop, broker.under_way.wait()).await.is_err() {
            tracing::warn!("stopped with requests under way; sent again, they will be completed");
        }
        if let Some(dedicated) = &broker.dedicated {
            dedicated.end().await;
        }
        if let Some(keeper) = keeper {
            keeper.abort();
            let _ended = keeper.await;
        }
        drop(directory);
    }
}

/// Where there can be servers of one's own: those that are in the books are kept from now on.
async fn open_dedicated(
    options: &Options,
    directory: &DataDirectory,
    books: &Books,
    key: &Arc<BrokerKey>,
) -> Result<Option<Arc<Dedicated>>, ServeError> {
    let Some(settings) = options.dedicated.clone() else { return Ok(None) };
    let required = settings.required;
    let (books, key, steps) = (books.clone(), Arc::clone(key), options.steps.clone());
    let opened = Dedicated::open(settings, directory, books, key, options.timeouts, steps);
    match opened {
        Ok(dedicated) => {
            dedicated.resume().await?;
            Ok(Some(dedicated))
        }
        Err(error) if required => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "the plan dedicated is not offered");
            Ok(None)
        }
    }
}

async fn extensions_of(pool: &Pool) -> Result<Vec<String>, CheckError> {
    let session = pool.fresh().await?;
    let names = extensions::available(&session).await?;
    session.give_back().await;
    Ok(names)
}

type Readiness = Arc<(Arc<PostgresBroker>, Authentication)>;

async fn ready(State(state): State<Readiness>, headers: HeaderMap) -> (StatusCode, String) {
    let (broker, authentication) = &*state;
    if !authentication.admits(&headers) {
        return (StatusCode::UNAUTHORIZED, "the broker needs credentials\n".to_owned());
    }
    match server::examine(&broker.shared.pool).await {
        Ok(report) => (StatusCode::OK, format!("ready: PostgreSQL {}\n", report.version)),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}
