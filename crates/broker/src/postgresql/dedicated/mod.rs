//! Servers of one's own: a PostgreSQL cluster for each instance of plan `dedicated`.
//!
//! Requests write in the books what is to be, and ask the instance's keeper to look; what is done
//! inside PostgreSQL is done by the same code as on the shared server, at another address.
//!
//! - `keeper`, `make`: from the books to a cluster that runs, or to none
//! - `cluster`, `postmaster`, `processes`: its files, its process, what works in its directory
//! - `ports`, `storage`: what it may use
//! - `managed`: the shared server, where the broker runs it; `remove`: the end of all of them
//!
//! Clusters outlive the broker: it adopts them when it is started again.

mod cluster;
mod error;
mod keeper;
mod make;
mod managed;
mod options;
mod ports;
mod postmaster;
mod processes;
mod remove;
mod storage;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Gate;
use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;

use super::credentials::Reach;
use super::error::PgError;
use super::extensions;
use super::names::InstanceNames;
use super::parameters::Parameters;
use super::plan::{self, DEDICATED_ID};
use super::pool::Pool;
use super::server::Server;
use super::session::{Steps, Target, Timeouts};
use super::tls::{self, Tls};
use crate::account::{self, Account};
use crate::books::{Books, BooksError, Instance};
use crate::certificates::{Authority, CertificateError, Signed};
use crate::data::DataDirectory;
use crate::keys::BrokerKey;
use cluster::{ADMIN, Cluster, Configuration};
pub(super) use error::ClusterError;
use keeper::Kept;
pub(super) use keeper::Said;
pub(super) use managed::Managed;
pub use managed::{ManagedError, ManagedOptions};
pub use options::{DedicatedError, DedicatedOptions};
pub use ports::{PortRange, PortRangeError};
pub use remove::{RemoveError, remove};

/// The broker's administrative connections to one cluster.
const CONNECTIONS: usize = 2;

/// All of them.
pub(super) struct Dedicated {
    settings: DedicatedOptions,
    account: Account,
    programs: PathBuf,
    /// The names of the extensions that the installed server has.
    pub(super) extensions: Vec<String>,
    directory: PathBuf,
    authority: Authority,
    tls: Tls,
    books: Books,
    key: Arc<BrokerKey>,
    timeouts: Timeouts,
    steps: Steps,
    /// Held while a port is chosen and written down.
    choosing: Gate<()>,
    kept: Mutex<HashMap<String, Arc<Kept>>>,
    servers: Mutex<HashMap<String, (u16, Arc<Server>)>>,
    keepers: Mutex<JoinSet<()>>,
}

impl Dedicated {
    /// Finds out whether there can be such servers here, and makes what all of them need.
    pub(super) fn open(
        settings: DedicatedOptions,
        data: &DataDirectory,
        books: Books,
        key: Arc<BrokerKey>,
        timeouts: Timeouts,
        steps: Steps,
    ) -> Result<Arc<Self>, DedicatedError> {
        if settings.address.is_unspecified() {
            return Err(DedicatedError::Address);
        }
        let account = Account::find().map_err(DedicatedError::Account)?;
        let programs = match &settings.programs {
            Some(path) => path.clone(),
            None => account::programs().map_err(DedicatedError::Programs)?,
        };
        let directory = data.file("clusters");
        options::make_way(account, data, &directory)?;
        let extensions = options::extensions(account, &programs, extensions::KNOWN)?;
        let authority = Authority::load_or_create(data.path(), "Dispatch broker postgresql")?;
        let tls = tls::verify_full(&authority.pem)?;
        Ok(Arc::new(Self {
            settings,
            account,
            programs,
            extensions,
            directory,
            authority,
            tls,
            books,
            key,
            timeouts,
            steps,
            choosing: Gate::default(),
            kept: Mutex::default(),
            servers: Mutex::default(),
            keepers: Mutex::default(),
        }))
    }

    /// Goes on with everything that is in the books.
    pub(super) async fn resume(self: &Arc<Self>) -> Result<(), BooksError> {
        for row in self.books.instances(DEDICATED_ID).await? {
            self.look(&row.id);
        }
        Ok(())
    }

    /// Gives an instance a port, writes it down, and has it made.
    pub(super) async fn begin(self: &Arc<Self>, row: Instance) -> Result<(), ClusterError> {
        let id = row.id.clone();
        self.move_port(row, &BTreeSet::new()).await?;
        self.look(&id);
        Ok(())
    }

    /// Gives an instance another port than those `in_use`. Its entry with that port.
    async fn move_port(
        &self,
        row: Instance,
        in_use: &BTreeSet<u16>,
    ) -> Result<Instance, ClusterError> {
        let _choosing = self.choosing.lock().await;
        let mut taken = self.books.ports().await?;
        taken.extend(in_use);
        let range = &self.settings.ports;
        let port = range.free(self.settings.address, &taken);
        let port = port.ok_or_else(|| ClusterError::NoPort { range: range.to_string() })?;
        let row = Instance { port: Some(port), ..row };
        self.pass()?;
        self.books.put_instance(row.clone()).await?;
        self.pass()?;
        Ok(row)
    }

    /// Has the keeper of an instance look into the books.
    pub(super) fn look(self: &Arc<Self>, id: &str) {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = all.get(id) {
            kept.ask();
            return;
        }
        let kept = Arc::new(Kept::new());
        all.insert(id.to_owned(), Arc::clone(&kept));
        let keeping = keeper::keep(Arc::clone(self), id.to_owned(), kept);
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        while keepers.try_join_next().is_some() {}
        keepers.spawn(keeping);
    }

    /// Ends the keeping of an instance, unless its keeper was asked again since `seen`.
    fn let_go(&self, id: &str, seen: u64) -> bool {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(id).is_some_and(|kept| kept.asked() != seen) {
            return false;
        }
        all.remove(id);
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        true
    }

    /// What there is to tell of an instance.
    pub(super) fn said(&self, id: &str) -> Said {
        let all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id).map(|kept| kept.said()).unwrap_or_default()
    }

    /// Ends the keepers. The clusters go on.
    pub(super) async fn end(&self) {
        let mut keepers = {
            let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *keepers)
        };
        keepers.shutdown().await;
    }

    /// The server of an instance, whether it runs or not.
    pub(super) fn server(&self, row: &Instance) -> Arc<Server> {
        let port = row.port.unwrap_or_default();
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, server)) = servers.get(&row.id).filter(|(found, _)| *found == port) {
            return Arc::clone(server);
        }
        let server = Arc::new(Server {
            pool: Pool::new(self.target(&row.id, port), CONNECTIONS),
            reach: Reach {
                host: self.settings.address.to_string(),
                port,
                tls: true,
                ca_pem: Some(self.authority.pem.clone()),
            },
            superuser: true,
        });
        servers.insert(row.id.clone(), (port, Arc::clone(&server)));
        server
    }

    fn target(&self, id: &str, port: u16) -> Target {
        let (password, tls) = (self.key.administrator_password(id), self.tls.clone());
        let address = (self.settings.address, port).into();
        target(address, &password, tls, self.timeouts, self.steps.clone())
    }

    fn cluster(&self, id: &str) -> Cluster {
        Cluster {
            directory: self.directory.join(InstanceNames::of(id).database),
            account: self.account,
            programs: self.programs.clone(),
        }
    }

    fn configuration(&self, row: &Instance) -> Configuration {
        let gib = Parameters::stored(&row.parameters).storage.unwrap_or(1);
        Configuration {
            address: self.settings.address,
            port: row.port.unwrap_or_default(),
            connections: self.connections(),
            storage_bytes: gib * self.settings.gib_bytes,
            durable: self.settings.durable,
        }
    }

    fn connections(&self) -> u16 {
        plan::plan(DEDICATED_ID).map_or(0, |plan| plan.connections)
    }

    fn certificate(&self) -> Result<Signed, CertificateError> {
        let names = ["localhost".to_owned(), self.settings.address.to_string()];
        self.authority.sign(&names)
    }

    /// A point at which a test may kill the process.
    fn pass(&self) -> Result<(), PgError> {
        self.steps.pass()
    }
}

/// How the broker connects to a server that it has made.
fn target(
    address: SocketAddr,
    password: &str,
    tls: Tls,
    timeouts: Timeouts,
    steps: Steps,
) -> Target {
    let mut config = tokio_postgres::Config::new();
    config
        .user(ADMIN)
        .password(password)
        .host(address.ip().to_string())
        .port(address.port())
        .application_name("dispatch-broker")
        .connect_timeout(timeouts.connect)
        .keepalives_idle(Duration::from_secs(30))
        .ssl_mode(SslMode::Require);
    let (address, database) = (address.to_string(), "postgres".to_owned());
    Target { address, database, config, tls, timeouts, steps }
}
