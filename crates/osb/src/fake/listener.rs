//! The fake broker's listener: an accept loop that can break connections, stop and come back.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tower::ServiceExt as _;

use super::serve::{self, Reset};
use super::state::Shared;

/// A loop that accepts connections until it is stopped or dropped.
#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    /// Dropping it stops the loop.
    running: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Listener {
    pub(super) async fn start(
        address: SocketAddr,
        shared: Arc<Shared>,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        let (running, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(socket, shared, tls.map(TlsAcceptor::from), stopped));
        Ok(Self { address, running: Some(running), task: Some(task) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the socket and all connections; all are closed when this returns.
    pub(super) async fn stop(&mut self) {
        self.running.take();
        if let Some(task) = self.task.take() {
            // An error is a panic in the loop, which has closed everything as well.
            let _ = task.await;
        }
    }
}

async fn accept(
    socket: TcpListener,
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = &mut stopped => break,
            accepted = socket.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        if let Ok((stream, _)) = accepted {
            connections.spawn(connection(stream, Arc::clone(&shared), tls.clone()));
        }
    }
    drop(socket);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    match tls {
        None => requests(stream, shared).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                requests(stream, shared).await;
            }
        }
    }
}

async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let router = serve::router(shared);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let router = router.clone();
        async move {
            let request: Request = request.map(axum::body::Body::new);
            let answered: Result<Response, Infallible> = router.oneshot(request).await;
            let Ok(response) = answered;
            match response.extensions().get::<Reset>() {
                Some(_) => Err(io::Error::other("reset")),
                None => Ok(response),
            }
        }
    });
    // An error is a broken connection, on purpose or not.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
