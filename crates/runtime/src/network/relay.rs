//! The relay of one worker: accepts on the listeners from its sandbox, dials out, copies both ways.
//! Dropping it closes everything. It knows no policy: that is [`Dial`]'s.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use super::Dial;
use crate::spawn::Endpoint;

/// Bounds of one worker's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayLimits {
    /// Open at one time, over all endpoints; more wait in the listener's queue.
    pub connections: usize,
    /// A connection on which nothing moved for so long is closed.
    pub idle_ms: u64,
    /// For one dial.
    pub connect_ms: u64,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self { connections: 64, idle_ms: 3_600_000, connect_ms: 5_000 }
    }
}

/// What has gone through a worker's relay.
#[derive(Debug, Default)]
pub struct RelayStats {
    accepted: AtomicU64,
    refused: AtomicU64,
    open: AtomicU64,
}

impl RelayStats {
    /// Connections taken from the worker so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Those of them that could not be dialled.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Those that are open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}

/// All listeners of one worker. Ends with it: keep it beside the worker's process and drop both.
#[derive(Debug)]
pub struct Relay {
    dial: Arc<dyn Dial>,
    limits: RelayLimits,
    places: Arc<Semaphore>,
    stats: Arc<RelayStats>,
    listeners: Vec<AbortHandle>,
}

impl Relay {
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>, limits: RelayLimits) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections));
        Self { dial, limits, places, stats: Arc::default(), listeners: Vec::new() }
    }

    #[must_use]
    pub fn stats(&self) -> Arc<RelayStats> {
        Arc::clone(&self.stats)
    }

    /// Begins to serve one listener. Must be called within a tokio runtime.
    pub fn serve(&mut self, endpoint: Endpoint, listener: OwnedFd) -> io::Result<()> {
        let listener = std::net::TcpListener::from(listener);
        listener.set_nonblocking(true)?;
        let line = Line {
            listener: TcpListener::from_std(listener)?,
            endpoint,
            dial: Arc::clone(&self.dial),
            limits: self.limits,
            places: Arc::clone(&self.places),
            stats: Arc::clone(&self.stats),
        };
        self.listeners.push(tokio::spawn(line.run()).abort_handle());
        Ok(())
    }

    /// The same for all listeners of a spawn.
    pub fn serve_all(&mut self, listeners: Vec<(Endpoint, OwnedFd)>) -> io::Result<()> {
        listeners.into_iter().try_for_each(|(endpoint, listener)| self.serve(endpoint, listener))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for listener in &self.listeners {
            listener.abort();
        }
    }
}

/// One listener and its connections, which end with it.
struct Line {
    listener: TcpListener,
    endpoint: Endpoint,
    dial: Arc<dyn Dial>,
    limits: RelayLimits,
    places: Arc<Semaphore>,
    stats: Arc<RelayStats>,
}

impl Line {
    async fn run(self) {
        let mut connections = JoinSet::new();
        loop {
            let inside = loop {
                tokio::select! {
                    accepted = self.listener.accept() => match accepted {
                        Ok((inside, _)) => break inside,
                        // Out of descriptors, or the peer was gone again: both pass.
                        Err(error) => {
                            tracing::warn!(%error, endpoint = %self.endpoint.host, "accept failed");
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    },
                    Some(_) = connections.join_next() => {}
                }
            };
            self.stats.accepted.fetch_add(1, Ordering::Relaxed);
            // At most this one waits for a place; the rest stays in the listener's queue.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            let connection = Connection {
                endpoint: self.endpoint.clone(),
                dial: Arc::clone(&self.dial),
                limits: self.limits,
                open: Open::new(&self.stats, place),
            };
            connections.spawn(connection.run(inside));
        }
    }
}

/// A connection's place among those that are open.
struct Open {
    stats: Arc<RelayStats>,
    _place: OwnedSemaphorePermit,
}

impl Open {
    fn new(stats: &Arc<RelayStats>, place: OwnedSemaphorePermit) -> Self {
        stats.open.fetch_add(1, Ordering::Relaxed);
        Self { stats: Arc::clone(stats), _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.stats.open.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Connection {
    endpoint: Endpoint,
    dial: Arc<dyn Dial>,
    limits: RelayLimits,
    open: Open,
}

impl Connection {
    async fn run(self, inside: TcpStream) {
        let limit = Duration::from_millis(self.limits.connect_ms);
        let dialled = match timeout(limit, self.dial.dial(&self.endpoint)).await {
            Ok(dialled) => dialled,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let outside = match dialled {
            Ok(outside) => outside,
            Err(error) => {
                self.open.stats.refused.fetch_add(1, Ordering::Relaxed);
                let Endpoint { host, port } = &self.endpoint;
                tracing::debug!(%error, host, port, "could not dial for a worker");
                // A reset rather than an orderly end: no server was there.
                let _ = inside.set_zero_linger();
                return;
            }
        };
        let _ = (inside.set_nodelay(true), outside.set_nodelay(true));
        let clock = Clock::new(self.limits.idle_ms);
        let (inside_read, inside_write) = inside.into_split();
        let (outside_read, outside_write) = outside.into_split();
        let there = copy(inside_read, outside_write, &clock);
        let back = copy(outside_read, inside_write, &clock);
        // The first error ends both; an orderly end of one side leaves the other open.
        let _ = tokio::try_join!(there, back);
    }
}

/// When something last moved in either direction.
struct Clock {
    begun: Instant,
    last_ms: AtomicU64,
    idle_ms: u64,
}

impl Clock {
    fn new(idle_ms: u64) -> Self {
        Self { begun: Instant::now(), last_ms: AtomicU64::new(0), idle_ms }
    }

    fn moved(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
    }

    fn deadline(&self) -> Instant {
        let last = self.last_ms.load(Ordering::Relaxed);
        self.begun + Duration::from_millis(last.saturating_add(self.idle_ms))
    }
}

/// Copies until the end of one side, and passes the end on.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, clock: &Clock) -> io::Result<()> {
    let mut buffer = vec![0u8; 16 << 10];
    loop {
        let count = within(clock, from.read(&mut buffer)).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        let part = buffer.get(..count).unwrap_or_default();
        within(clock, to.write_all(part)).await?;
    }
}

/// Waits for one step, as long as the connection as a whole is not idle.
async fn within<T>(clock: &Clock, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let mut step = std::pin::pin!(step);
    loop {
        let deadline = clock.deadline();
        match timeout_at(deadline, &mut step).await {
            Ok(done) => {
                clock.moved();
                return done;
            }
            Err(_) if clock.deadline() > deadline => {}
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
