//! The one way out of a build's sandbox (decision 35): an HTTP proxy of the server that admits the hosts of the build
//! settings alone.
//!
//! It has no listener. A build is given a [`Pass`]: an endpoint on the loopback of its own network, whose connections
//! the relay hands over inside this process, so that nothing but that build can reach it, and only while it runs.
//! `CONNECT` opens a tunnel to an admitted TLS host; `GET` and `HEAD` of `http://` URLs fetch from an admitted plain
//! one. What is deliberately absent: caching, other methods, and looking into TLS.

mod admission;
mod budget;
mod dial;
mod head;
mod outbound;
mod refusal;
mod serve;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dispatch_runtime::spawn::Endpoint;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::connector::Connector;

pub use admission::{Authorization, Host, Rules, Upstream, canonical_host};

use budget::Budget;

/// Where a build finds the proxy, in its own network.
const HOST: &str = "127.0.0.1";
/// One port for each build that runs, so that its connections can be told from those of others.
const FIRST_PORT: u16 = 3128;

/// Bounds. Times are of the real clock: they bound what others send us.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections of one build at a time; further ones are answered 503.
    pub connections: usize,
    /// From the first byte to the end of a request's head.
    pub head: Duration,
    /// For an upstream proxy's answer to CONNECT.
    pub answer: Duration,
    /// A connection on which nothing moved for so long is closed.
    pub idle: Duration,
    /// The longest that a connection may live.
    pub total: Duration,
    /// What one build may receive and send, all its connections together.
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            head: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(900),
            received_bytes: 2 << 30,
            sent_bytes: 16 << 20,
        }
    }
}

/// One per server.
#[derive(Debug, Clone)]
pub struct Proxy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    connector: Arc<Connector>,
    builds: Mutex<HashMap<u16, Arc<Build>>>,
}

/// What is kept of one build while it runs.
#[derive(Debug)]
struct Build {
    rules: Arc<Rules>,
    places: Arc<Semaphore>,
    budget: Budget,
    /// What it was refused, in words for people; each once, the first few.
    refused: Mutex<Vec<String>>,
    ended: CancellationToken,
}

/// How many refusals are remembered for the build's log.
const REFUSED_MAX: usize = 20;

/// A build's right to use the proxy. Ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Pass {
    proxy: Proxy,
    port: u16,
    build: Arc<Build>,
}

impl Proxy {
    pub fn new(limits: Limits, connector: Arc<Connector>) -> Self {
        Self(Arc::new(Inner { limits, connector, builds: Mutex::default() }))
    }

    /// `None` if there are more builds than ports.
    pub fn admit(&self, rules: Arc<Rules>) -> Option<Pass> {
        let limits = self.0.limits;
        let mut builds = self.0.builds();
        let port = (FIRST_PORT..u16::MAX).find(|port| !builds.contains_key(port))?;
        let build = Arc::new(Build {
            rules,
            places: Arc::new(Semaphore::new(limits.connections)),
            budget: Budget::new(limits.sent_bytes, limits.received_bytes),
            refused: Mutex::default(),
            ended: CancellationToken::new(),
        });
        builds.insert(port, Arc::clone(&build));
        Some(Pass { proxy: self.clone(), port, build })
    }
}

impl Inner {
    fn builds(&self) -> MutexGuard<'_, HashMap<u16, Arc<Build>>> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Build {
    fn note(&self, words: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < REFUSED_MAX && !refused.iter().any(|known| known == words) {
            refused.push(words.to_owned());
        }
    }
}

impl Pass {
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { host: HOST.to_owned(), port: self.port }
    }

    /// What programs take as `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{HOST}:{}", self.port)
    }

    /// Why connections of the build came to nothing, in words for people.
    pub fn refused(&self) -> Vec<String> {
        self.build.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.proxy.0.builds().remove(&self.port);
        self.build.ended.cancel();
    }
}
