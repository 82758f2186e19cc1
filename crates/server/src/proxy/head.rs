//! The head of an HTTP/1 message, read up to a bound and parsed without forgiveness.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use url::Url;

use super::admission::canonical_host;

/// The largest head, its empty line included.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;

const END: &[u8] = b"\r\n\r\n";

/// A head as it came, and what was read after it.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) head: Vec<u8>,
    pub(super) rest: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum HeadError {
    #[error("the connection ended within the head")]
    Ended,
    #[error("the head is larger than {HEAD_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the connection broke")]
    Io(#[from] io::Error),
}

pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Raw, HeadError> {
    let mut seen = Vec::new();
    let mut part = [0u8; 4 << 10];
    loop {
        let count = stream.read(&mut part).await?;
        if count == 0 {
            return Err(HeadError::Ended);
        }
        let from = seen.len().saturating_sub(END.len() - 1);
        seen.extend_from_slice(part.get(..count).unwrap_or_default());
        let tail = seen.get(from..).unwrap_or_default();
        let end = tail.windows(END.len()).position(|window| window == END);
        let end = end.map(|at| from + at + END.len());
        if end.unwrap_or(seen.len()) > HEAD_BYTES_MAX {
            return Err(HeadError::TooLarge);
        }
        if let Some(end) = end {
            let rest = seen.split_off(end);
            return Ok(Raw { head: seen, rest });
        }
    }
}

/// What a build asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// `CONNECT host:port`.
    Tunnel { host: String, port: u16 },
    /// `GET http://…` or `HEAD http://…`.
    Fetch { method: String, url: Url, host: String, port: u16, headers: Vec<(String, String)> },
}

/// `Err` is a status and words.
pub(super) fn request(head: &[u8]) -> Result<Request, (u16, &'static str)> {
    const MALFORMED: (u16, &str) = (400, "this is not a request to a proxy");
    let is_text = |b: &u8| matches!(b, b'\t' | b'\r' | b'\n' | b' '..=b'~');
    let text = std::str::from_utf8(head).ok().filter(|_| head.iter().all(is_text));
    let mut lines = text.ok_or(MALFORMED)?.strip_suffix("\r\n\r\n").ok_or(MALFORMED)?.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut headers = Vec::new();
    for line in lines {
        headers.push(header(line).ok_or(MALFORMED)?);
    }
    let mut words = first.split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (method, target, version, words.next())
    else {
        return Err(MALFORMED);
    };
    if first.contains(['\r', '\n']) {
        return Err(MALFORMED);
    }
    match method {
        "CONNECT" => {
            let (host, port) = target.rsplit_once(':').ok_or(MALFORMED)?;
            let host = canonical_host(host).ok_or(MALFORMED)?;
            let port = port.parse().ok().filter(|port| *port != 0).ok_or(MALFORMED)?;
            Ok(Request::Tunnel { host, port })
        }
        "GET" | "HEAD" => {
            let url = Url::parse(target).map_err(|_| MALFORMED)?;
            let has_user = !url.username().is_empty() || url.password().is_some();
            if url.scheme() != "http" || has_user {
                return Err((400, "only http URLs without a user are fetched; use CONNECT"));
            }
            let host = url.host_str().and_then(canonical_host).ok_or(MALFORMED)?;
            let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(MALFORMED)?;
            if headers.iter().any(|(name, value)| has_body(name, value)) {
                return Err((400, "a request with a body is not taken"));
            }
            Ok(Request::Fetch { method: method.to_owned(), url, host, port, headers })
        }
        _ => Err((405, "only CONNECT, GET and HEAD are taken")),
    }
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let good = !name.is_empty() && name.bytes().all(is_token) && !value.contains(['\r', '\n']);
    good.then(|| (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

fn has_body(name: &str, value: &str) -> bool {
    name.eq_ignore_ascii_case("transfer-encoding")
        || name.eq_ignore_ascii_case("content-length") && value != "0"
}

/// The status of an answer's head.
pub(super) fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (version, status) = (words.next()?, words.next()?);
    let is_http = version.starts_with("HTTP/1.");
    status.parse().ok().filter(|status| is_http && (100..1000).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_client_sends_to_a_proxy_is_a_request() {
        let check = |text: &str, expect: Result<(&str, u16), u16>| {
            let found = request(format!("{text}\r\n\r\n").as_bytes());
            let found = found.map_err(|(status, _)| status).map(|request| match request {
                Request::Tunnel { host, port } | Request::Fetch { host, port, .. } => (host, port),
            });
            let expect = expect.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(found, expect, "{text:?}");
        };
        check("CONNECT PyPI.org:443 HTTP/1.1\r\nHost: pypi.org:443", Ok(("pypi.org", 443)));
        check("CONNECT [::1]:443 HTTP/1.0", Ok(("::1", 443)));
        check("GET http://index.example/simple/ HTTP/1.1\r\nA: b", Ok(("index.example", 80)));
        check("HEAD http://index.example:8080/ HTTP/1.1", Ok(("index.example", 8080)));
        check("GET http://a/ HTTP/1.1\r\nContent-Length: 0", Ok(("a", 80)));
        check("CONNECT pypi.org HTTP/1.1", Err(400));
        check("CONNECT pypi.org:0 HTTP/1.1", Err(400));
        check("CONNECT pypi.org:65536 HTTP/1.1", Err(400));
        check("CONNECT pypi.org:443/x HTTP/1.1", Err(400));
        check("CONNECT u@pypi.org:443 HTTP/1.1", Err(400));
        check("CONNECT pypi.org:443  HTTP/1.1", Err(400));
        check("CONNECT pypi.org:443 HTTP/2", Err(400));
        check("CONNECT pypi.org:443", Err(400));
        check("CONNECT pypi.org:443 HTTP/1.1\r\n continued", Err(400));
        check("CONNECT pypi.org:443 HTTP/1.1\r\nA\u{e9}: b", Err(400));
        check("CONNECT pypi.org:443 HTTP/1.1\r\nA: b\nC: d", Err(400));
        check("GET / HTTP/1.1\r\nHost: a", Err(400));
        check("GET https://pypi.org/ HTTP/1.1", Err(400));
        check("GET http://u:p@pypi.org/ HTTP/1.1", Err(400));
        check("GET ftp://pypi.org/ HTTP/1.1", Err(400));
        check("GET http://a/ HTTP/1.1\r\nContent-Length: 5", Err(400));
        check("GET http://a/ HTTP/1.1\r\nTransfer-Encoding: chunked", Err(400));
        check("POST http://a/ HTTP/1.1", Err(405));
        check("", Err(400));
    }

    #[test]
    fn an_answer_has_a_status_or_is_none() {
        let check = |text: &str, expect| assert_eq!(status(text.as_bytes()), expect, "{text}");
        check("HTTP/1.1 200 OK\r\n\r\n", Some(200));
        check("HTTP/1.0 407\r\n\r\n", Some(407));
        check("HTTP/2 200\r\n\r\n", None);
        check("SSH-2.0-OpenSSH\r\n\r\n", None);
        check("HTTP/1.1 20x\r\n\r\n", None);
    }

    #[tokio::test]
    async fn a_head_may_have_the_largest_size_and_not_a_byte_more() {
        let read_of = |size: usize| async move {
            let mut message = vec![b'a'; size - END.len()];
            message.extend_from_slice(END);
            message.extend_from_slice(b"rest");
            read(&mut message.as_slice()).await
        };
        assert_eq!(read_of(HEAD_BYTES_MAX).await.unwrap().head.len(), HEAD_BYTES_MAX);
        let raw = read_of(100).await.unwrap();
        assert_eq!((raw.head.len(), raw.rest.as_slice()), (100, b"rest".as_slice()));
        assert!(matches!(read_of(HEAD_BYTES_MAX + 1).await, Err(HeadError::TooLarge)));
        assert!(matches!(read(&mut b"abc".as_slice()).await, Err(HeadError::Ended)));
    }
}
