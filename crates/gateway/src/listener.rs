//! The accept loop for HTTP and HTTPS: a bound on everything that a client can hold on to (decision 19).
//! It knows nothing of routes; the control plane and the gateway both serve through it.
//!
//! A held answer (a long call, a watch) may take any time; a client that takes nothing of what is sent to it may not.

mod accept;
mod activity;
mod connection;
mod guard;

use std::{convert::Infallible, error::Error, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tower::Service;

use accept::Accept;
use connection::Connection;

/// How much a listener's clients may hold on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are open at a time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// From the first byte of a request (for the first one: from the start of the connection) to the end of its head.
    pub header_timeout: Duration,
    /// Between two requests on one connection.
    pub idle_timeout: Duration,
    /// From the accepted connection to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// How long a client may take none of the bytes that wait to be sent to it.
    pub stall_timeout: Duration,
    /// How long calls may go on after the stop.
    pub drain_timeout: Duration,
    /// The head of a request, in bytes; a longer one is answered 431. At least 8192.
    pub header_bytes: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            handshake_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(30),
            header_bytes: 64 * 1024,
            streams: 200,
        }
    }
}

/// Who sent a request, and how. It is in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub address: SocketAddr,
    /// Whether it came over TLS.
    pub tls: bool,
}

/// How a listener ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that had to be cut because their calls outlived the drain time.
    pub cut: usize,
}

/// The TLS configuration of a listener. A new one stored here is used from the next handshake on.
pub type TlsConfig = Arc<ArcSwap<rustls::ServerConfig>>;

/// Serves `service` on `listener` until `stop` is cancelled and the calls have ended or the drain time is over.
///
/// With `tls`, connections start with a handshake; the protocol (HTTP/1.1 or HTTP/2) is the one agreed there.
/// Without, a connection that opens with the HTTP/2 preface speaks HTTP/2. A panic in `service` is answered 500.
/// Dropping the returned future ends every connection at once.
pub async fn serve<S, B>(
    listener: TcpListener,
    tls: Option<TlsConfig>,
    service: S,
    limits: Limits,
    stop: CancellationToken,
) -> Stopped
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_from(listener, tls, service, limits, stop).await
}

async fn serve_from<A, S, B>(
    mut listener: A,
    tls: Option<TlsConfig>,
    service: S,
    limits: Limits,
    stop: CancellationToken,
) -> Stopped
where
    A: Accept,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let seats = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let drain_timeout = limits.drain_timeout;
    let limits = Arc::new(limits);
    let mut open = JoinSet::new();

    let accepting = async {
        loop {
            // The seat is taken before the connection, so that what has no seat stays in the kernel's queue.
            let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
            let (stream, address) = accept::next(&mut listener).await;
            while open.try_join_next().is_some() {}
            let connection = Connection {
                stream,
                peer: Peer { address, tls: tls.is_some() },
                tls: tls.as_ref().map(|tls| tls.load_full()),
                limits: Arc::clone(&limits),
                stop: stop.clone(),
            };
            let service = service.clone();
            open.spawn(async move {
                connection.run(service).await;
                drop(seat);
            });
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = accepting => {}
    }
    drop(listener);

    let drained = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(drain_timeout, drained).await.is_ok() {
        return Stopped { cut: 0 };
    }
    while open.try_join_next().is_some() {}
    let cut = open.len();
    tracing::warn!(connections = cut, "cut connections whose calls outlived the drain time");
    open.shutdown().await;
    Stopped { cut }
}
