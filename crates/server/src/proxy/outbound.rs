//! From an admitted host to a connection: directly, every address checked by the connector, or through the proxy that
//! the server's own environment names.

use std::io;

use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::{Build, Inner, Upstream, head, refusal::Refusal};

/// A way to a host.
pub(super) struct Way {
    pub(super) stream: TcpStream,
    /// What the upstream proxy sent after its answer.
    pub(super) early: Vec<u8>,
}

/// To the host itself, through whatever lies between.
pub(super) async fn tunnel(
    inner: &Inner,
    build: &Build,
    host: &str,
    port: u16,
) -> Result<Way, Refusal> {
    let Some(upstream) = build.rules.upstream_for(host) else {
        return direct(inner, host, port).await.map(|stream| Way { stream, early: Vec::new() });
    };
    let mut stream = to_upstream(inner, upstream).await?;
    let host = bracketed(host);
    let mut ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(authorization) = &upstream.authorization {
        ask.push_str(&format!("Proxy-Authorization: {}\r\n", authorization.value()));
    }
    ask.push_str("\r\n");
    let asking = async {
        stream.write_all(ask.as_bytes()).await?;
        head::read(&mut stream).await
    };
    let failed = |why: &str| Refusal::new(502, format!("the upstream proxy {why}"));
    match timeout(inner.limits.answer, asking).await {
        Err(_) => Err(Refusal::new(504, "the upstream proxy did not answer in time")),
        Ok(Err(head::HeadError::TooLarge)) => Err(failed("answered too much")),
        Ok(Err(_)) => Err(failed("closed the connection")),
        Ok(Ok(raw)) => match head::status(&raw.head) {
            Some(200..=299) => Ok(Way { stream, early: raw.rest }),
            Some(status) => Err(failed(&format!("answered {status} for {host}:{port}"))),
            None => Err(failed("does not speak HTTP")),
        },
    }
}

/// To whoever fetches from a plain host for us: the host, or the upstream proxy, which takes whole URLs.
pub(super) async fn fetcher<'a>(
    inner: &Inner,
    build: &'a Build,
    host: &str,
    port: u16,
) -> Result<(TcpStream, Option<&'a Upstream>), Refusal> {
    match build.rules.upstream_for(host) {
        None => Ok((direct(inner, host, port).await?, None)),
        Some(upstream) => Ok((to_upstream(inner, upstream).await?, Some(upstream))),
    }
}

async fn direct(inner: &Inner, host: &str, port: u16) -> Result<TcpStream, Refusal> {
    let connected = inner.connector.connect(host, port).await;
    connected.map_err(|error| failed(&format!("{host}:{port}"), &error))
}

async fn to_upstream(inner: &Inner, upstream: &Upstream) -> Result<TcpStream, Refusal> {
    let connected = inner.connector.connect(&upstream.host, upstream.port).await;
    let Upstream { host, port, .. } = upstream;
    connected.map_err(|error| failed(&format!("the upstream proxy {host}:{port}"), &error))
}

fn failed(what: &str, error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Refusal::new(403, format!("{what} must not be reached: {error}"))
        }
        io::ErrorKind::TimedOut => Refusal::new(504, format!("{what} did not answer in time")),
        _ => Refusal::new(502, format!("{what} cannot be reached: {error}")),
    }
}

/// As it stands before a port.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
