//! What a worker reaches (decision 33): its endpoints, each through a listener inside its own
//! network and a relay out here. The server decides how, and whether, an endpoint is dialled.

mod relay;

use std::io;

use futures::future::BoxFuture;
use tokio::net::TcpStream;

pub use relay::{Relay, RelayLimits, RelayStats};

use crate::spawn::Endpoint;

/// Makes the outbound connection for an endpoint: resolves, refuses what policy forbids, connects.
/// An error reaches the worker as a connection that closes at once.
pub trait Dial: Send + Sync + std::fmt::Debug {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<TcpStream>>;
}
