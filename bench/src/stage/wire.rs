//! One kept-alive connection to the control plane, blocking and with as little of a client as there can be: what is
//! measured through it is the server.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Trouble;

/// Longer than the longest `?wait`.
const TIMEOUT: Duration = Duration::from_secs(330);
const READ_BYTES: usize = 16 << 10;

/// A connection with the administrator's key.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    host: SocketAddr,
    key: String,
    incoming: Vec<u8>,
}

/// An answer, and when its last byte was there.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Wire {
    pub fn connect(host: SocketAddr, key: &str) -> Result<Self, Trouble> {
        let connected = TcpStream::connect(host).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            Ok(stream)
        });
        let stream = connected.map_err(Trouble::io("connect to the server"))?;
        Ok(Self { stream, host, key: key.to_owned(), incoming: Vec::new() })
    }

    /// The bytes of a request, to be sent many times.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Vec<u8> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let (host, key, length) = (self.host, &self.key, body.len());
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {key}\r\nX-Dispatch-Org: dispatch\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    /// Sends a request and reads its answer.
    pub fn send(&mut self, request: &[u8]) -> Result<Answer, Trouble> {
        self.stream.write_all(request).map_err(Trouble::io("send a request"))?;
        self.incoming.clear();
        let mut chunk = [0; READ_BYTES];
        loop {
            let got = self.stream.read(&mut chunk).map_err(Trouble::io("read an answer"))?;
            let at = Instant::now();
            if got == 0 {
                return Err(Trouble::wrong("an answer", "the server closed the connection"));
            }
            self.incoming.extend_from_slice(chunk.get(..got).unwrap_or_default());
            if let Some((status, body)) = whole(&self.incoming)? {
                return Ok(Answer { status, body: body.to_vec(), at });
            }
        }
    }

    /// A request whose answer must be a success; its body as JSON, null if there is none.
    pub fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Trouble> {
        let request = self.request(method, path, body);
        let answer = self.send(&request)?;
        let text = || String::from_utf8_lossy(&answer.body).into_owned();
        if !(200..300).contains(&answer.status) {
            let what = format!("{method} {path} was answered {}", answer.status);
            return Err(Trouble::wrong(what, text()));
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| Trouble::wrong(format!("{method} {path}: {error}"), text()))
    }

    /// Makes something, waits until it has settled and checks that it is READY.
    pub fn make(&mut self, path: &str, body: &Value) -> Result<Value, Trouble> {
        let made = self.call("POST", &format!("{path}?wait=300"), Some(body))?;
        let status = |value: &Value| value.get("status").and_then(Value::as_str) == Some("READY");
        let binding = made.get("binding").filter(|binding| !binding.is_null());
        if status(&made) && binding.is_none_or(status) {
            return Ok(made);
        }
        Err(Trouble::wrong(format!("POST {path} was to make something READY"), made))
    }
}

/// Status and body, once all is there. Only answers with a length are understood: the server gives no others here.
fn whole(bytes: &[u8]) -> Result<Option<(u16, &[u8])>, Trouble> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
    let mut lines = head.split("\r\n");
    let wrong = || Trouble::wrong("an answer cannot be read", &head);
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let status: u16 = status.ok_or_else(wrong)?;
    let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let length = match (length, status) {
        (Some(length), _) => length.map_err(|_| wrong())?,
        (None, 204) => 0,
        (None, _) => return Err(wrong()),
    };
    let body = bytes.get(end + 4..).unwrap_or_default();
    Ok((body.len() >= length).then_some((status, body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_last_byte_is_there() {
        let check = |text: &str, expect: Option<(u16, &str)>| {
            let found = whole(text.as_bytes()).unwrap();
            assert_eq!(found, expect.map(|(status, body)| (status, body.as_bytes())), "{text:?}");
        };
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", None);
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{", None);
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", Some((200, "{}")));
        check("HTTP/1.1 204 No Content\r\n\r\n", Some((204, "")));
        assert!(whole(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(whole(b"nonsense\r\n\r\n").is_err());
    }
}
