//! Sites on loopback, and a build that talks to the proxy.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use dispatch_runtime::network::Dial as _;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use super::super::{Host, Limits, Pass, Proxy, Rules};
use crate::connector::Connector;

/// What does not come within this time never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server on loopback, and what it has heard: the heads of requests.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy)]
enum Manner {
    Echo,
    Silent,
    /// Reads a head, answers, and closes.
    Answer(&'static str),
    /// Answers once, then behaves as a tunnel to an echo.
    AnswerAndEcho(&'static str),
}

impl Site {
    pub(super) async fn echo() -> Self {
        Self::start(Manner::Echo).await
    }

    pub(super) async fn silent() -> Self {
        Self::start(Manner::Silent).await
    }

    pub(super) async fn answering(answer: &'static str) -> Self {
        Self::start(Manner::Answer(answer)).await
    }

    pub(super) async fn answering_and_echoing(answer: &'static str) -> Self {
        Self::start(Manner::AnswerAndEcho(answer)).await
    }

    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let of_task = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(talk(stream, manner, Arc::clone(&of_task)));
            }
        });
        Self { address, heard, task }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Nobody listens there any more.
    pub(super) async fn close(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn talk(mut stream: TcpStream, manner: Manner, heard: Arc<Mutex<Vec<String>>>) {
    if let Manner::Answer(answer) | Manner::AnswerAndEcho(answer) = manner {
        let Ok(raw) = super::super::head::read(&mut stream).await else { return };
        let rest = String::from_utf8_lossy(&raw.rest).into_owned();
        heard.lock().unwrap().push(String::from_utf8_lossy(&raw.head).into_owned() + &rest);
        let _ = stream.write_all(answer.as_bytes()).await;
        if matches!(manner, Manner::Answer(_)) {
            let _ = stream.shutdown().await;
            return;
        }
    }
    let mut buffer = vec![0u8; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if !matches!(manner, Manner::Silent) && stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    if matches!(manner, Manner::Silent) {
        std::future::pending::<()>().await;
    }
}

pub(super) fn tls(site: &Site) -> Host {
    Host {
        name: site.address.ip().to_string(),
        port: site.port(),
        plain: false,
        authorization: None,
    }
}

pub(super) fn plain(site: &Site) -> Host {
    Host { plain: true, ..tls(site) }
}

pub(super) fn authority(site: &Site) -> String {
    site.address.to_string()
}

/// A proxy for these hosts, and a build's pass.
pub(super) fn door(hosts: Vec<Host>) -> (Proxy, Pass) {
    narrow_door(hosts, Limits::default())
}

pub(super) fn narrow_door(hosts: Vec<Host>, limits: Limits) -> (Proxy, Pass) {
    let rules = Rules { settings: "build.pip", hosts, upstream: None };
    let proxy = Proxy::new(limits, Arc::new(Connector::new(true)));
    let pass = proxy.admit(Arc::new(rules)).unwrap();
    (proxy, pass)
}

pub(super) async fn dial(proxy: &Proxy, pass: &Pass) -> std::io::Result<TcpStream> {
    proxy.dial(&pass.endpoint()).await
}

/// Sends all of it and then no more, and hears to the end.
pub(super) async fn ask(proxy: &Proxy, pass: &Pass, request: &str) -> String {
    let mut stream = dial(proxy, pass).await.unwrap();
    send(&mut stream, request).await;
    let _ = stream.shutdown().await;
    hear_all(&mut stream).await
}

/// The other side may have hung up.
pub(super) async fn send(stream: &mut TcpStream, text: &str) {
    let _ = timeout(PATIENCE, stream.write_all(text.as_bytes())).await.unwrap();
}

/// What comes next.
pub(super) async fn hear(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0u8; 64 << 10];
    let count = timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap_or(0);
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

/// Everything to the end, however it comes.
pub(super) async fn hear_all(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut all)).await.unwrap();
    String::from_utf8_lossy(&all).into_owned()
}
