//! The fake broker of `dispatch_osb`, on a listener that writes down when each request came and when the last byte of
//! its answer had gone, and how many commits the server had made by then.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Instant,
};

use axum::{body::Body, extract::Request};
use dispatch_osb::fake::{FakeBroker, Settings};
use http::Method;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tower::ServiceExt as _;

use super::{
    Trouble,
    wal::{Count, Wal},
};

/// What a platform asks for, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Provision,
    Bind,
    Other,
}

/// One request and its answer.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    pub asked: Asked,
    pub came: Instant,
    /// When the last bytes of the answer went.
    pub answered: Option<Instant>,
    /// Commits of the server when the request came, and before the answer went.
    pub commits_before: Option<Count>,
    pub commits_then: Option<Count>,
}

#[derive(Debug, Default)]
struct Book {
    exchanges: Vec<Exchange>,
    wal: Option<Wal>,
}

type Shared = Arc<Mutex<Book>>;

fn open(book: &Shared) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    /// A count that cannot be had is no count.
    fn count(&mut self) -> Option<Count> {
        self.wal.as_mut().and_then(|wal| wal.count().ok())
    }
}

/// A fake broker with a stop watch. Dropping it ends it.
#[derive(Debug)]
pub struct TimedBroker {
    pub fake: FakeBroker,
    address: SocketAddr,
    book: Shared,
}

impl TimedBroker {
    /// Listens on loopback, in the given runtime.
    pub fn start(runtime: &Runtime, settings: Settings) -> Result<Self, Trouble> {
        let failed = || Trouble::io("start the fake broker");
        let fake = runtime.block_on(FakeBroker::start_with(settings, None)).map_err(failed())?;
        let listening = runtime.block_on(TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)));
        let listener = listening.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let book = Shared::default();
        let (router, shared) = (fake.router(), Arc::clone(&book));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, router.clone(), Arc::clone(&shared)));
            }
        });
        Ok(Self { fake, address, book })
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, commits of this log are counted with each exchange.
    pub fn count_commits(&self, wal: Wal) {
        open(&self.book).wal = Some(wal);
    }

    /// The commits up to now.
    #[must_use]
    pub fn commits(&self) -> Option<Count> {
        open(&self.book).count()
    }

    /// How many exchanges there were: where later ones begin.
    #[must_use]
    pub fn mark(&self) -> usize {
        open(&self.book).exchanges.len()
    }

    /// What was asked and answered since a mark.
    #[must_use]
    pub fn since(&self, mark: usize) -> Vec<Exchange> {
        open(&self.book).exchanges.iter().skip(mark).copied().collect()
    }
}

async fn serve(stream: TcpStream, router: axum::Router, book: Shared) {
    let _ = stream.set_nodelay(true);
    // Which exchange this connection is at.
    let current = Arc::new(Mutex::new(None));
    let watched = Watched { stream, book: Arc::clone(&book), current: Arc::clone(&current) };
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (router, book, current) = (router.clone(), Arc::clone(&book), Arc::clone(&current));
        async move {
            let asked = asked(request.method(), request.uri().path());
            let index = came(&book, asked);
            *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(index);
            let request: Request = request.map(Body::new);
            let Ok(response) = router.oneshot(request).await;
            let mut book = open(&book);
            let commits = book.count();
            if let Some(exchange) = book.exchanges.get_mut(index) {
                exchange.commits_then = commits;
            }
            Ok::<_, Infallible>(response)
        }
    });
    // An error is a connection that was broken; the books show what came of it.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(watched), service).await;
}

fn came(book: &Shared, asked: Asked) -> usize {
    let came = Instant::now();
    let mut book = open(book);
    let commits_before = book.count();
    book.exchanges.push(Exchange {
        asked,
        came,
        answered: None,
        commits_before,
        commits_then: None,
    });
    book.exchanges.len() - 1
}

fn asked(method: &Method, path: &str) -> Asked {
    let is_binding = path.contains("/service_bindings/");
    match (method, path.starts_with("/v2/service_instances/"), is_binding) {
        (&Method::PUT, true, false) => Asked::Provision,
        (&Method::PUT, true, true) => Asked::Bind,
        _ => Asked::Other,
    }
}

/// A connection that writes down when it last wrote.
struct Watched {
    stream: TcpStream,
    book: Shared,
    current: Arc<Mutex<Option<usize>>>,
}

impl Watched {
    fn wrote(&self, now: Instant) {
        let current = *self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut book = open(&self.book);
        if let Some(exchange) = current.and_then(|index| book.exchanges.get_mut(index)) {
            exchange.answered = Some(now);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Before the bytes go, or the server could be ahead of the watch.
        let now = Instant::now();
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if matches!(written, Poll::Ready(Ok(_))) {
            self.wrote(now);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn an_answer_is_timed_between_the_request_and_its_arrival() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let broker = TimedBroker::start(&runtime, Settings::default()).unwrap();
        let begun = Instant::now();
        let mut stream = std::net::TcpStream::connect(broker.address).unwrap();
        let request = "GET /v2/catalog HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                       X-Broker-API-Version: 2.17\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let ended = Instant::now();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let exchanges = broker.since(0);
        let [exchange] = exchanges.as_slice() else { panic!("{exchanges:?}") };
        let answered = exchange.answered.unwrap();
        assert!(begun <= exchange.came && exchange.came <= answered && answered <= ended);
        assert_eq!(exchange.asked, Asked::Other);
    }

    #[test]
    fn requests_are_told_apart_by_method_and_path() {
        let one = "/v2/service_instances/i";
        let check = |method, path: &str, expect| assert_eq!(asked(&method, path), expect, "{path}");
        check(Method::PUT, one, Asked::Provision);
        check(Method::PUT, &format!("{one}/service_bindings/b"), Asked::Bind);
        check(Method::DELETE, one, Asked::Other);
        check(Method::GET, &format!("{one}/last_operation"), Asked::Other);
        check(Method::GET, "/v2/catalog", Asked::Other);
    }
}
