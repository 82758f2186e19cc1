//! Serving HTTP with bounds: connections, the time for a request's head and for the whole of it,
//! and the time to stop. (`axum::serve` has none of these.)

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// After a failure to accept: no descriptors are left, say.
const PAUSE: Duration = Duration::from_millis(100);

/// How much, and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at a time; more wait in the listener's queue.
    pub(crate) connections: usize,
    /// For the head of a request, and between two requests.
    pub(crate) head: Duration,
    /// For a request with its body and its answer. Operations have shorter limits of their own.
    pub(crate) request: Duration,
    /// For open requests to finish after the order to stop.
    pub(crate) stop: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 1_000,
            head: Duration::from_secs(10),
            request: Duration::from_secs(75),
            stop: Duration::from_secs(30),
        }
    }
}

/// Serves until `shutdown` ends; then lets open requests finish.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    shutdown: impl Future<Output = ()>,
    bounds: Bounds,
) {
    let routes = routes.layer(from_fn_with_state(bounds.request, within));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.head);
    builder.http2().timer(TokioTimer::new());
    let slots = Arc::new(Semaphore::new(bounds.connections));
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
                    tracing::debug!(error, "a connection ended");
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
    if timeout(bounds.stop, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped with connections open");
    }
}

async fn within(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::body::Bytes;
    use axum::routing::post;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);
    const WHOLE: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok";
    const SLOW: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\no";

    async fn start(bounds: Bounds) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let routes = Router::new().route("/", post(|body: Bytes| async { body }));
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        (address, stop, tokio::spawn(serve(listener, routes, shutdown, bounds)))
    }

    async fn send(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(text.as_bytes()).await.expect("sent");
        stream
    }

    /// What comes until the other side closes.
    async fn rest(mut stream: TcpStream) -> String {
        let mut text = String::new();
        // A connection that is reset has ended as well.
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    #[tokio::test]
    async fn a_head_and_a_body_that_do_not_come_are_not_waited_for() {
        let (address, _stop, _task) =
            start(Bounds { head: SHORT, request: SHORT, ..Bounds::default() }).await;
        assert_eq!(rest(send(address, "POST / HT").await).await, "");
        let answer = rest(send(address, SLOW).await).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        // A whole request is answered, and its connection closed when no other follows.
        let answer = rest(send(address, WHOLE).await).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok"), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_too_many_waits_until_another_ends() {
        let (address, _stop, _task) = start(Bounds { connections: 1, ..Bounds::default() }).await;
        let mut first = send(address, WHOLE).await;
        let mut start = [0; 12];
        first.read_exact(&mut start).await.expect("answered");
        let mut second = send(address, WHOLE).await;
        let early = timeout(SHORT, second.read_u8()).await;
        assert!(early.is_err(), "answered although the one slot is taken");
        drop(first);
        second.read_exact(&mut start).await.expect("answered");
        assert_eq!(&start, b"HTTP/1.1 200");
    }

    #[tokio::test]
    async fn stopping_ends_idle_connections_and_waits_for_open_requests_so_long() {
        let (address, stop, task) = start(Bounds { stop: SHORT, ..Bounds::default() }).await;
        let mut idle = send(address, WHOLE).await;
        let mut start = [0; 12];
        idle.read_exact(&mut start).await.expect("answered");
        let slow = send(address, SLOW).await;
        drop(stop);
        assert!(rest(idle).await.ends_with("ok"));
        task.await.expect("it has stopped although a request is open");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
        drop(slow);
    }
}
