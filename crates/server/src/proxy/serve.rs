//! One connection of a build, from its first byte to its last.

use std::sync::Arc;

use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::{
    Build, Host, Inner,
    budget::{CopyError, Direction, Silence, copy},
    head::{self, HEAD_BYTES_MAX, HeadError, Raw, Request},
    outbound::{self, Way, bracketed},
    refusal::Refusal,
};

const TUNNEL_IS_OPEN: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Never fails: what goes wrong is answered, noted for the build's log, and over.
pub(super) async fn connection(inner: &Inner, build: &Build, mut inside: TcpStream) {
    let outcome = match Arc::clone(&build.places).try_acquire_owned() {
        Ok(_place) => {
            let serving = timeout(inner.limits.total, request(inner, build, &mut inside));
            serving.await.unwrap_or_else(|_| {
                build.note("a connection was closed because it had lived too long");
                Ok(())
            })
        }
        Err(_) => Err(Refusal::new(503, "the build has too many connections open")),
    };
    if let Err(refusal) = outcome {
        tracing::debug!(status = refusal.status, words = refusal.words, "a build was refused");
        build.note(&refusal.words);
        // Nobody may be there any more to hear it, nor reads it for ever.
        let _ = timeout(inner.limits.head, inside.write_all(&refusal.answer())).await;
        let _ = inside.shutdown().await;
    }
}

async fn request(inner: &Inner, build: &Build, inside: &mut TcpStream) -> Result<(), Refusal> {
    let raw = match timeout(inner.limits.head, head::read(inside)).await {
        Ok(Ok(raw)) => raw,
        Ok(Err(HeadError::Ended | HeadError::Io(_))) => return Ok(()),
        Ok(Err(HeadError::TooLarge)) => {
            let words = format!("the head of the request is larger than {HEAD_BYTES_MAX} bytes");
            return Err(Refusal::new(431, words));
        }
        Err(_) => return Err(Refusal::new(408, "the request did not come in time")),
    };
    let Raw { head, rest } = raw;
    let asked = head::request(&head).map_err(|(status, words)| Refusal::new(status, words))?;
    let ended = match asked {
        Request::Tunnel { host, port } => {
            admitted(build, &host, port, false)?;
            let way = outbound::tunnel(inner, build, &host, port).await?;
            tunnel(inner, build, inside, way, &rest).await.map_err(|error| (host, error))
        }
        Request::Fetch { method, url, host, port, headers } => {
            let known = admitted(build, &host, port, true)?;
            let (outside, upstream) = outbound::fetcher(inner, build, &host, port).await?;
            let mut ask = match upstream {
                Some(_) => format!("{method} {url} HTTP/1.1\r\n"),
                None => format!("{method} {} HTTP/1.1\r\n", origin_form(&url)),
            };
            if let Some(authorization) =
                upstream.and_then(|upstream| upstream.authorization.as_ref())
            {
                ask.push_str(&format!("Proxy-Authorization: {}\r\n", authorization.value()));
            }
            put_headers(&mut ask, known, &headers);
            fetch(inner, build, inside, outside, ask.as_bytes())
                .await
                .map_err(|error| (host, error))
        }
    };
    // Both sides have had bytes of each other: there is no place left for an answer of ours.
    if let Err((host, error)) = ended
        && !matches!(error, CopyError::Io(_))
    {
        build.note(&format!("the connection to {host} was closed: {error}"));
    }
    Ok(())
}

fn admitted<'a>(build: &'a Build, host: &str, port: u16, plain: bool) -> Result<&'a Host, Refusal> {
    let rules = &build.rules;
    rules.host(host, port, plain).ok_or_else(|| {
        let scheme = if plain { "http" } else { "https" };
        let host = bracketed(host);
        let place = rules.settings;
        Refusal::new(403, format!("{scheme}://{host}:{port} is not among the hosts of {place}"))
    })
}

async fn tunnel(
    inner: &Inner,
    build: &Build,
    inside: &mut TcpStream,
    way: Way,
    rest: &[u8],
) -> Result<(), CopyError> {
    let Way { stream: mut outside, early } = way;
    build.budget.take(Direction::Received, early.len())?;
    build.budget.take(Direction::Sent, rest.len())?;
    inside.write_all(TUNNEL_IS_OPEN).await?;
    inside.write_all(&early).await?;
    outside.write_all(rest).await?;
    let silence = Silence::new(inner.limits.idle);
    let (inside_read, inside_write) = inside.split();
    let (outside_read, outside_write) = outside.split();
    let there = copy(inside_read, outside_write, &build.budget, Direction::Sent, &silence);
    let back = copy(outside_read, inside_write, &build.budget, Direction::Received, &silence);
    // The first error ends both; an orderly end of one side leaves the other open.
    tokio::try_join!(there, back).map(drop)
}

async fn fetch(
    inner: &Inner,
    build: &Build,
    inside: &mut TcpStream,
    mut outside: TcpStream,
    ask: &[u8],
) -> Result<(), CopyError> {
    build.budget.take(Direction::Sent, ask.len())?;
    outside.write_all(ask).await?;
    let silence = Silence::new(inner.limits.idle);
    // One request for a connection: whatever else the build sends is not read.
    copy(outside, inside, &build.budget, Direction::Received, &silence).await
}

fn origin_form(url: &url::Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// The build's headers without those that are between it and us, our own, and the empty line.
fn put_headers(ask: &mut String, host: &Host, headers: &[(String, String)]) {
    const OURS: [&str; 10] = [
        "host",
        "connection",
        "proxy-connection",
        "proxy-authorization",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "content-length",
        "expect",
    ];
    let named = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, value)| value.split(',').map(str::trim))
        .collect::<Vec<_>>();
    let port = if host.port == 80 { String::new() } else { format!(":{}", host.port) };
    ask.push_str(&format!("Host: {}{port}\r\nConnection: close\r\n", bracketed(&host.name)));
    if let Some(authorization) = &host.authorization {
        ask.push_str(&format!("Authorization: {}\r\n", authorization.value()));
    }
    for (name, value) in headers {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let given = host.authorization.is_some() && is("authorization");
        if !given && !OURS.iter().any(|ours| is(ours)) && !named.iter().any(|named| is(named)) {
            ask.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    ask.push_str("\r\n");
}
