//! Brokers that the server runs itself (`builtin` instead of a URL): its own executable again, as `dispatch broker
//! KIND`, with a token that nobody else knows.
//!
//! - `arguments`: what such a broker may be told, checked
//! - `line`: what server and broker say to each other
//! - `keeper`: has one broker run: started, started again, stopped
//! - `process`, `log`: one process, and what it writes
//!
//! It is beside the features because everybody who needs a client of a broker needs its process (`brokers.rs`). What
//! is deliberately absent: the broker's API, and PostgreSQL.

pub mod arguments;
mod keeper;
pub mod line;
mod log;
mod process;

use std::{
    collections::{HashMap, HashSet},
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dispatch_engine::{Key, Waker};
use dispatch_model::{
    Id, Name,
    secret::Secret,
    service_broker::{Builtin, ServiceBroker},
};
use tokio::time::timeout;

use crate::connector::Connector;
use arguments::Arguments;
use keeper::{Kept, State};
use line::{Order, Task};
use process::Process;

pub use keeper::Up;

/// Processes of brokers at a time.
const BROKERS_MAX: usize = 32;
/// For a broker to stop what it keeps running, and to remove it.
const REMOVAL: Duration = Duration::from_secs(180);

/// All of one server's.
#[derive(Debug)]
pub struct Included {
    host: Arc<Host>,
    inner: Mutex<Inner>,
}

/// What all their processes have in common.
#[derive(Debug)]
struct Host {
    /// Our own executable.
    program: PathBuf,
    /// A directory for each broker is in it.
    data: PathBuf,
    /// What they log.
    log: String,
    connector: Arc<Connector>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Inner {
    kept: HashMap<Id<ServiceBroker>, Arc<Kept>>,
    /// They are deleted: nobody who has loaded one before may start it again.
    gone: HashSet<Id<ServiceBroker>>,
    closed: bool,
}

/// What a broker is to be. A change of it means another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub kind: Builtin,
    pub arguments: Arguments,
    pub ca_cert: Option<String>,
    /// Which secret and version.
    pub login: Option<(Id<Secret>, u64)>,
}

/// Why there is no broker to talk to. A fragment for people, without any secret.
#[derive(Debug, thiserror::Error)]
pub enum NotUp {
    #[error("the server runs {BROKERS_MAX} brokers of its own, and no more")]
    TooMany,
    #[error("the broker is being deleted, or the server stops")]
    Closed,
    #[error("the broker is still starting")]
    Starting,
    #[error("the broker does not run: {0}")]
    Down(String),
}

/// Why what a broker has kept could not be removed. A fragment for people.
#[derive(Debug, thiserror::Error)]
pub enum NotRemoved {
    #[error("what the broker keeps running could not be stopped: {0}")]
    Running(String),
    #[error("the broker's directory could not be removed: {0}")]
    Directory(io::Error),
}

impl Included {
    pub fn new(
        program: PathBuf,
        data: PathBuf,
        log: String,
        connector: Arc<Connector>,
        waker: Waker,
    ) -> Self {
        let host = Host { program, data, log, connector, waker };
        Self { host: Arc::new(host), inner: Mutex::default() }
    }

    /// Whether a broker is kept running as wished.
    pub fn is_kept(&self, broker: Id<ServiceBroker>, wish: &Wish) -> bool {
        self.inner().kept.get(&broker).is_some_and(|kept| kept.is(wish))
    }

    /// Has a broker run as wished from now on, until it is removed. `order` is what its process is told. Returns at once.
    pub fn keep(
        &self,
        broker: Id<ServiceBroker>,
        name: &Name,
        wish: Wish,
        order: Order,
    ) -> Result<(), NotUp> {
        let mut inner = self.inner();
        if inner.closed || inner.gone.contains(&broker) {
            return Err(NotUp::Closed);
        }
        if let Some(kept) = inner.kept.get(&broker) {
            kept.change(wish, order);
            return Ok(());
        }
        if inner.kept.len() >= BROKERS_MAX {
            return Err(NotUp::TooMany);
        }
        let kept = Kept::start(Arc::clone(&self.host), broker, name, wish, order);
        inner.kept.insert(broker, Arc::new(kept));
        Ok(())
    }

    /// Where a broker that is kept listens. One that is starting is waited for, so long.
    pub async fn up(&self, broker: Id<ServiceBroker>, limit: Duration) -> Result<Up, NotUp> {
        let kept = self.inner().kept.get(&broker).cloned().ok_or(NotUp::Closed)?;
        match timeout(limit, kept.settled()).await {
            Ok(State::Up(up)) => Ok(up),
            Ok(State::Down(why)) => Err(NotUp::Down(why)),
            Ok(State::Starting) | Err(_) => Err(NotUp::Starting),
        }
    }

    /// Whether a broker has come up or gone down since this was asked last.
    pub fn has_news(&self, broker: Id<ServiceBroker>) -> bool {
        self.inner().kept.get(&broker).is_some_and(|kept| kept.has_news())
    }

    /// Ends a broker and everything that it keeps running, and removes its directory. Nothing is left when this is
    /// `Ok`; otherwise it can be asked for again.
    pub async fn remove(&self, broker: Id<ServiceBroker>) -> Result<(), NotRemoved> {
        let directory = self.host.directory(broker);
        let kept = {
            let mut inner = self.inner();
            let kept = inner.kept.remove(&broker);
            if kept.is_none() && !directory.exists() {
                return Ok(());
            }
            inner.gone.insert(broker);
            kept
        };
        if let Some(kept) = kept {
            kept.end().await;
        }
        if let Some(kind) = self.host.kind(broker) {
            let order = Order::new(Task::Remove);
            let removing = Process::start(&self.host, broker, "", kind, order).await;
            let (mut removing, _reports) = removing.map_err(NotRemoved::Running)?;
            let ended = timeout(REMOVAL, removing.ended()).await;
            if !matches!(ended, Ok(Ok(()))) {
                let why = ended.map_or_else(
                    |_| "it takes too long".to_owned(),
                    |ended| ended.err().unwrap_or_default(),
                );
                return Err(NotRemoved::Running(why));
            }
        }
        match tokio::task::spawn_blocking(move || fs::remove_dir_all(directory)).await {
            Ok(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                Err(NotRemoved::Directory(error))
            }
            Ok(_) => Ok(()),
            Err(_) => Err(NotRemoved::Directory(io::ErrorKind::Interrupted.into())),
        }
    }

    /// The brokers that have a directory, whether they still exist or not.
    pub fn with_directories(&self) -> Vec<Id<ServiceBroker>> {
        let entries = fs::read_dir(&self.host.data).into_iter().flatten();
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        ids.map(Id::from_uuid).collect()
    }

    /// Ends all processes. What they keep running goes on.
    pub async fn stop(&self) {
        let kept: Vec<_> = {
            let mut inner = self.inner();
            inner.closed = true;
            inner.kept.drain().collect()
        };
        futures::future::join_all(kept.iter().map(|(_, kept)| kept.end())).await;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file that says of which kind the broker is that a directory belongs to.
const KIND: &str = "kind";

impl Host {
    fn directory(&self, broker: Id<ServiceBroker>) -> PathBuf {
        self.data.join(broker.uuid().to_string())
    }

    /// The directory of a broker; made if need be. Others may pass through the one above, but not look into it: a
    /// broker may run servers as another user.
    fn prepare(&self, broker: Id<ServiceBroker>, kind: Builtin) -> io::Result<PathBuf> {
        let make = |path: &PathBuf, mode| match DirBuilder::new().mode(mode).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
        make(&self.data, 0o711)?;
        let directory = self.directory(broker);
        make(&directory, 0o700)?;
        if self.kind(broker).is_none() {
            fs::write(directory.join(KIND), kind.as_str())?;
        }
        Ok(directory)
    }

    fn kind(&self, broker: Id<ServiceBroker>) -> Option<Builtin> {
        Builtin::parse(fs::read_to_string(self.directory(broker).join(KIND)).ok()?.trim())
    }

    fn wake(&self, broker: Id<ServiceBroker>) {
        self.waker.wake(Key(broker.uuid()));
    }
}
