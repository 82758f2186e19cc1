//! A listener on a free loopback port, and clients that speak to it byte by byte.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::Router;
use dispatch_gateway::{
    Gateway,
    listener::{self, Limits, Stopped, TlsConfig},
    tls,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes, so that a hang is a failure and not a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running listener, ended with the test.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    task: Option<JoinHandle<Stopped>>,
}

impl Running {
    pub(crate) async fn start(service: Router, limits: Limits) -> Self {
        Self::with(service, limits, None).await
    }

    pub(crate) async fn with(service: Router, limits: Limits, tls: Option<TlsConfig>) -> Self {
        Self::run(|socket, stop| listener::serve(socket, tls, service, limits, stop)).await
    }

    pub(crate) async fn gateway(gateway: Gateway, tls: Option<TlsConfig>) -> Self {
        let limits = Limits::default();
        Self::run(|socket, stop| listener::serve(socket, tls, gateway, limits, stop)).await
    }

    async fn run<F>(serve: impl FnOnce(TcpListener, CancellationToken) -> F) -> Self
    where
        F: Future<Output = Stopped> + Send + 'static,
    {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(socket, stop.clone()));
        Self { address, stop, task: Some(task) }
    }

    pub(crate) async fn stopped(mut self) -> Stopped {
        let task = self.task.take().expect("it is waited for once");
        timeout(PATIENCE, task).await.expect("it stops").expect("it does not panic")
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.expect("it listens"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// A client that decides on every byte.
#[derive(Debug)]
pub(crate) struct Wire(pub(crate) TcpStream);

impl Wire {
    pub(crate) async fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.expect("the connection is open");
    }

    /// What comes until `end` has come.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut seen = Vec::new();
        let read = async {
            while !String::from_utf8_lossy(&seen).contains(end) {
                assert_ne!(self.0.read_buf(&mut seen).await.expect("open"), 0, "closed too early");
            }
        };
        let outcome = timeout(PATIENCE, read).await;
        let seen = String::from_utf8_lossy(&seen).into_owned();
        assert!(outcome.is_ok(), "no {end:?} in {seen:?}");
        seen
    }

    /// What comes until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut seen = Vec::new();
        // A reset is a way to close, too.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut seen)).await.expect("it is closed");
        String::from_utf8_lossy(&seen).into_owned()
    }
}

/// An own certificate in a temporary directory.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) config: TlsConfig,
    pub(crate) public: PathBuf,
    _directory: TempDir,
}

impl Certificate {
    pub(crate) fn make() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let own =
            tls::load_or_create(directory.path(), &["h.example".to_owned()]).expect("it is made");
        Self {
            config: Arc::new(ArcSwap::new(own.config)),
            public: own.certificate,
            _directory: directory,
        }
    }

    /// A client that trusts this certificate and no other.
    pub(crate) fn client(&self) -> reqwest::Client {
        let pem = std::fs::read(&self.public).expect("it is there");
        let root = reqwest::Certificate::from_pem(&pem).expect("it is PEM");
        reqwest::Client::builder()
            .tls_certs_only([root])
            .resolve("h.example", ([127, 0, 0, 1], 0).into())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client")
    }
}
