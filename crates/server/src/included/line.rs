//! What server and broker say to each other, one JSON document a line: the order, which is the first and only line of the
//! broker's stdin, and the reports on its stdout. When stdin ends, so does the broker: the server asks it to stop, or is
//! no more.
//!
//! Secrets travel here alone: arguments and environment can be read by others, and files stay.

use std::{
    fmt,
    io::{self, Read},
    net::SocketAddr,
};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::arguments::Arguments;

/// The longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What a broker is told at its start.
#[derive(Clone, Serialize, Deserialize, ZeroizeOnDrop)]
pub struct Order {
    #[zeroize(skip)]
    pub task: Task,
    /// What callers must show. The keeper makes it.
    pub token: String,
    #[zeroize(skip)]
    pub arguments: Arguments,
    /// The administrator's login, where the arguments name a server.
    pub login: Option<Login>,
    /// PEM of the authority that signed that server's certificate.
    #[zeroize(skip)]
    pub ca_cert: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Serve,
    /// End and remove whatever an earlier process keeps running, and end.
    Remove,
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Login {
    pub username: String,
    pub password: String,
}

/// What a broker tells the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It answers at this address.
    Listening(SocketAddr),
    /// It does not start, for this reason.
    Failed(String),
}

impl Order {
    pub fn new(task: Task) -> Self {
        Self {
            task,
            token: String::new(),
            arguments: Arguments::default(),
            login: None,
            ca_cert: None,
        }
    }

    /// The line, with its end.
    pub fn to_line(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut line = Zeroizing::new(serde_json::to_vec(self)?);
        line.push(b'\n');
        Ok(line)
    }

    /// Reads the line. What comes after it is left unread, but for a byte-wise reader that costs nothing here.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut line = Zeroizing::new(Vec::new());
        let mut byte = [0];
        while line.len() < LINE_BYTES_MAX && from.read(&mut byte)? == 1 && byte != *b"\n" {
            line.extend_from_slice(&byte);
        }
        // The error of the parser may quote what it has read.
        serde_json::from_slice(&line).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, "the server's order is not understood")
        })
    }

    /// What may not be shown.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let password = self.login.as_ref().map(|login| login.password.as_str());
        password.into_iter().chain([self.token.as_str()]).filter(|secret| !secret.is_empty())
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (task, arguments) = (&self.task, &self.arguments);
        f.debug_struct("Order")
            .field("task", task)
            .field("arguments", arguments)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_was_written_and_never_shown() {
        let mut order = Order::new(Task::Serve);
        order.token = "t0k".to_owned();
        order.login = Some(Login { username: "u".to_owned(), password: "pässwort".to_owned() });
        order.arguments.host = Some("db".to_owned());
        let line = order.to_line().unwrap();
        let mut rest = [line.as_slice(), b"more"].concat();
        let mut reader = rest.as_slice();
        let read = Order::read(&mut reader).unwrap();
        assert_eq!(
            (read.secrets().collect::<Vec<_>>(), reader),
            (vec!["pässwort", "t0k"], &b"more"[..])
        );
        assert_eq!(read.arguments, order.arguments);
        let shown = format!("{read:?} {:?}", read.login);
        assert!(!shown.contains("t0k") && !shown.contains("pässwort"), "{shown}");
        rest.truncate(10);
        let error = Order::read(&mut rest.as_slice()).unwrap_err().to_string();
        assert_eq!(error, "the server's order is not understood");
    }
}
