//! Serving HTTP with bounds: connections, the time for a request's head and for the whole of it,
//! and the time to stop. (`axum::serve` has none of these.)

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Connections at a time; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 1_000;
/// For the head of a request, and between two requests.
const HEAD: Duration = Duration::from_secs(10);
/// For a request with its body and its answer. The operations have shorter limits of their own.
const REQUEST: Duration = Duration::from_secs(75);
/// After a failure to accept: no descriptors are left, say.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` ends; then lets open requests finish for up to `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    shutdown: impl Future<Output = ()>,
    stop: Duration,
) {
    let routes = routes.layer(from_fn(bounded));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new());
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let accept = async {
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await;
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let service = TowerToHyperService::new(routes.clone());
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended");
                }
                drop(slot);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown => {}
    }
    drop(listener);
    if timeout(stop, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped with connections open");
    }
}

async fn bounded(request: Request, next: Next) -> Response {
    match timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}
