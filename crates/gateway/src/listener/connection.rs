//! One connection from its handshake to its end. It ends by itself when the client is done, and is ended when it
//! overstays a limit or after the stop.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{
    Limits, Peer,
    activity::{Activity, Expiry, Watched},
    guard::{self, BoxError},
};

/// How long an idle connection may take to say good-bye (GOAWAY, close_notify).
const FAREWELL: Duration = Duration::from_secs(2);
/// hyper takes no smaller buffer.
const LEAST_HEADER_BYTES: usize = 8192;

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: Peer,
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    pub(super) limits: Arc<Limits>,
    pub(super) stop: CancellationToken,
}

impl Connection {
    pub(super) async fn run<S, B>(self, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Self { stream, peer, tls, limits, stop } = self;
        set_options(&stream, peer.address, limits.stall_timeout);
        let Some(config) = tls else {
            return drive(stream, service, peer, &limits, &stop).await;
        };
        let handshake = timeout(limits.handshake_timeout, TlsAcceptor::from(config).accept(stream));
        let outcome = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            outcome = handshake => outcome,
        };
        match outcome {
            Ok(Ok(stream)) => drive(stream, service, peer, &limits, &stop).await,
            Ok(Err(error)) => {
                tracing::debug!(peer = %peer.address, %error, "the TLS handshake failed");
            }
            Err(_) => tracing::debug!(peer = %peer.address, "the TLS handshake took too long"),
        }
    }
}

/// A peer that has vanished without a word is found by the kernel, also while its answer is being worked on.
fn set_options(stream: &TcpStream, peer: SocketAddr, idle: Duration) {
    let outcome = stream.set_nodelay(true).and_then(|()| {
        sockopt::set_tcp_keepidle(stream, idle.max(Duration::from_secs(1)))?;
        Ok(sockopt::set_socket_keepalive(stream, true)?)
    });
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "cannot set the options of a connection");
    }
}

async fn drive<I, S, B>(io: I, service: S, peer: Peer, limits: &Limits, stop: &CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let activity = Arc::new(Activity::new(Instant::now()));
    let service = {
        let activity = Arc::clone(&activity);
        service_fn(move |request| {
            guard::answer(service.clone(), request, peer, Arc::clone(&activity))
        })
    };
    let io = TokioIo::new(Watched { io, activity: Arc::clone(&activity) });
    let protocol = protocol(limits);
    let mut connection = pin!(protocol.serve_connection(io, service));
    let mut expiry = pin!(Expiring::new(&activity, limits));
    let mut stopped = pin!(stop.cancelled());
    let mut stopping = false;

    let expired = poll_fn(|cx| {
        // The connection first: what it reads and answers now moves its deadline.
        let mut outcome = connection.as_mut().poll(cx);
        if outcome.is_pending() && !stopping && stopped.as_mut().poll(cx).is_ready() {
            stopping = true;
            connection.as_mut().graceful_shutdown();
            outcome = connection.as_mut().poll(cx);
        }
        if let Poll::Ready(outcome) = outcome {
            if let Err(error) = outcome {
                tracing::debug!(peer = %peer.address, error, "a connection ended early");
            }
            return Poll::Ready(None);
        }
        expiry.as_mut().poll(cx).map(Some)
    })
    .await;

    let Some(expired) = expired else { return };
    tracing::debug!(peer = %peer.address, ?expired, "closed a connection that overstayed");
    if expired == Expiry::Idle {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(FAREWELL, connection).await;
    }
}

/// Ends when the time of a connection is over. It is polled after the connection, in the same task.
struct Expiring<'a> {
    activity: &'a Activity,
    limits: &'a Limits,
    timer: Pin<Box<Sleep>>,
}

impl<'a> Expiring<'a> {
    fn new(activity: &'a Activity, limits: &'a Limits) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + limits.idle_timeout));
        Self { activity, limits, timer }
    }
}

impl Future for Expiring<'_> {
    type Output = Expiry;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Expiry> {
        loop {
            let now = Instant::now();
            // Look again after a while in any case: an HTTP/2 call ends in a task of its own.
            let mut look_at = now + self.limits.idle_timeout;
            if let Some((deadline, expiry)) = self.activity.deadline(self.limits) {
                if deadline <= now {
                    return Poll::Ready(expiry);
                }
                look_at = look_at.min(deadline);
            }
            // Moving a timer costs; a look too early costs nothing.
            if look_at < self.timer.deadline() {
                self.timer.as_mut().reset(look_at);
            }
            ready!(self.timer.as_mut().poll(cx));
            self.timer.as_mut().reset(look_at);
        }
    }
}

fn protocol(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // hyper's own header time-out counts from the end of the previous answer, which would be the idle time.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes.max(LEAST_HEADER_BYTES));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.stall_timeout)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams);
    builder
}
