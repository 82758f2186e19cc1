//! A broker for tests: a state machine with books of its own, never a list of canned replies.
//!
//! It serves real HTTP on a loopback port, with or without TLS. What exists, and what was asked,
//! is in its [`Books`], from which a test takes its verdict: an instance in them that the platform
//! does not know is an orphan. How long work takes and how it ends is in [`Settings`]; what goes
//! wrong on the way, before or after the work, is a [`Fault`]. Both can be changed at run time.
//!
//! It is no broker for anything else: its services are names, unless a test puts a [`Backing`] behind it.

pub mod azure;
mod backing;
mod bindings;
mod books;
mod catalog;
mod fault;
mod instances;
mod listener;
mod operations;
mod serve;
mod settings;
mod state;

pub use backing::Backing;
pub use books::{
    BindingRecord, Books, InstanceRecord, OperationRecord, RequestRecord, Standing, Subject, Verb,
};
pub use catalog::{catalog, ids};
pub use fault::{CallKind, Fault, RawAnswer};
pub use settings::{End, OperationName, Pace, Settings, Time, Work};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio_rustls::rustls::ServerConfig;

use listener::Listener;
use state::Shared;

/// How long [`FakeBroker::until`] waits at most.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A running fake broker. Dropping it ends it.
#[derive(Debug)]
pub struct FakeBroker {
    shared: Arc<Shared>,
    listener: Listener,
    tls: Option<Arc<ServerConfig>>,
}

impl FakeBroker {
    /// Starts on 127.0.0.1 with the default settings: everything synchronous, all is well.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Settings::default(), None).await
    }

    /// Starts with these settings, over TLS if a configuration is given.
    pub async fn start_with(
        settings: Settings,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(settings));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::start(any, Arc::clone(&shared), tls.clone()).await?;
        Ok(Self { shared, listener, tls })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// Changes the settings from now on. Operations under way keep their pace and end.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.with(|state| change(&mut state.settings));
    }

    /// Lets the next call of this kind meet a fault, after those already queued.
    pub fn fault(&self, call: CallKind, fault: Fault) {
        self.faults(call, 1, fault);
    }

    /// Lets the next calls of this kind meet a fault.
    pub fn faults(&self, call: CallKind, times: usize, fault: Fault) {
        self.shared.with(|state| {
            let queue = state.faults.entry(call).or_default();
            queue.extend(std::iter::repeat_n(fault, times));
        });
    }

    /// Lets every call of this kind meet a fault, when none is queued; `None` ends that.
    pub fn always(&self, call: CallKind, fault: Option<Fault>) {
        self.shared.with(|state| match fault {
            Some(fault) => state.always.insert(call, fault),
            None => state.always.remove(&call),
        });
    }

    /// Forgets all faults, queued and permanent.
    pub fn clear_faults(&self) {
        self.shared.with(|state| {
            state.faults.clear();
            state.always.clear();
        });
    }

    /// Lets go of every request that hangs now, and ends every operation that waits for this.
    pub fn release(&self) {
        self.shared.release();
    }

    /// What exists, what existed, and what was asked.
    pub fn books(&self) -> Books {
        self.shared.read(|state| state.books.clone())
    }

    /// Changes what exists behind the platform's back.
    pub fn edit(&self, change: impl FnOnce(&mut Books)) {
        self.shared.with(|state| change(&mut state.books));
    }

    /// Waits until the books satisfy a condition, and returns them.
    ///
    /// # Panics
    /// After a minute, with the books as they are then.
    pub async fn until(&self, what: &str, condition: impl Fn(&Books) -> bool) -> Books {
        let mut changes = self.shared.changes();
        let wait = async {
            loop {
                changes.mark_unchanged();
                let books = self.books();
                if condition(&books) {
                    return books;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(MAX_WAIT, wait).await {
            Ok(books) => books,
            Err(_) => panic!("the fake broker never saw {what}: {:#?}", self.books()),
        }
    }

    /// Stops listening and breaks all connections; the books are kept.
    pub async fn go_down(&mut self) {
        self.listener.stop().await;
    }

    /// Listens again at the same address.
    pub async fn come_back(&mut self) -> io::Result<()> {
        let (address, tls) = (self.address(), self.tls.clone());
        self.listener.stop().await;
        self.listener = Listener::start(address, Arc::clone(&self.shared), tls).await?;
        Ok(())
    }

    /// The same broker as a router, to be served by somebody else. A broken connection shows
    /// there as a broken body.
    pub fn router(&self) -> Router {
        serve::router(Arc::clone(&self.shared))
    }

    /// Ends it and returns the last state of its books.
    pub async fn finish(mut self) -> Books {
        self.shared.release();
        self.listener.stop().await;
        self.books()
    }
}
