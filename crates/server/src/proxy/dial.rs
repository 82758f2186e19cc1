//! The relay's way to the proxy: a pair of connected sockets, one end for the relay and one for us.

use std::{io, os::unix::net::UnixStream, sync::Arc};

use dispatch_runtime::{network::Dial, spawn::Endpoint};
use futures::future::BoxFuture;
use tokio::net::TcpStream;

use super::{HOST, Proxy, serve};

impl Dial for Proxy {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<TcpStream>> {
        Box::pin(async move {
            let build =
                (endpoint.host == HOST).then(|| self.0.builds().get(&endpoint.port).cloned());
            let Some(build) = build.flatten() else {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "not an endpoint of a build that runs",
                ));
            };
            let (theirs, ours) = pair()?;
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move {
                let ended = build.ended.clone();
                tokio::select! {
                    () = serve::connection(&inner, &build, ours) => {}
                    () = ended.cancelled() => {}
                }
            });
            Ok(theirs)
        })
    }
}

/// Two connected streams with no address that anybody could dial. To tokio, a stream socket is a stream socket: what
/// only TCP has (no delay, linger) is refused by the kernel, and nobody here depends on it.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let (one, other) = UnixStream::pair()?;
    let stream = |end: UnixStream| {
        end.set_nonblocking(true)?;
        TcpStream::from_std(std::net::TcpStream::from(std::os::fd::OwnedFd::from(end)))
    };
    Ok((stream(one)?, stream(other)?))
}
