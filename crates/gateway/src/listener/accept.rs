//! Accepting connections in a way that survives what `accept` can answer. It ends only with the listener.

use std::{io, net::SocketAddr, time::Duration};

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// Where connections come from.
pub(super) trait Accept: Send {
    fn accept(&mut self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self).await
    }
}

/// The next connection. Errors of one connection are passed over; when the process or the machine lacks something
/// (descriptors, memory), it waits longer and longer instead of spinning, and goes on when there is some again.
pub(super) async fn next(listener: &mut impl Accept) -> (TcpStream, SocketAddr) {
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                if pause == FIRST_PAUSE {
                    tracing::error!(%error, "cannot accept connections for now");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Linux reports through `accept` the errors that the new connection already has (accept(2)).
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::CONNREFUSED
                | Errno::PROTO
                | Errno::INTR
                | Errno::HOSTUNREACH
                | Errno::NETUNREACH
                | Errno::NETDOWN
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::NOPROTOOPT
                | Errno::PERM
        )
    )
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn only_errors_of_one_connection_are_passed_over_without_a_pause() {
        let check = |errno: Errno, expect: bool| {
            assert_eq!(concerns_one_connection(&errno.into()), expect, "{errno:?}");
        };
        check(Errno::CONNABORTED, true);
        check(Errno::CONNRESET, true);
        check(Errno::PERM, true);
        check(Errno::MFILE, false);
        check(Errno::NFILE, false);
        check(Errno::NOBUFS, false);
        check(Errno::NOMEM, false);
        check(Errno::BADF, false);
    }

    struct Failing {
        errors: VecDeque<Errno>,
        then: TcpListener,
    }

    impl Accept for Failing {
        async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
            match self.errors.pop_front() {
                Some(errno) => Err(errno.into()),
                None => Accept::accept(&mut self.then).await,
            }
        }
    }

    #[tokio::test]
    async fn a_listener_without_descriptors_goes_on_when_there_are_some_again() {
        let then = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = then.local_addr().expect("it is bound");
        let errors =
            [Errno::MFILE, Errno::NFILE, Errno::CONNABORTED, Errno::NOMEM].into_iter().collect();
        let mut listener = Failing { errors, then };
        let client = TcpStream::connect(address).await.expect("it listens");
        let (_, peer) = next(&mut listener).await;
        assert_eq!(peer, client.local_addr().expect("it is connected"));
    }

    /// How long the next connection takes after these errors, on a clock that moves only by pauses.
    async fn paused_after(errors: impl IntoIterator<Item = Errno>) -> Duration {
        let then = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = then.local_addr().expect("it is bound");
        let client = std::net::TcpStream::connect(address).expect("it listens");
        let mut listener = Failing { errors: errors.into_iter().collect(), then };
        let start = tokio::time::Instant::now();
        let _ = next(&mut listener).await;
        drop(client);
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_up_to_a_second_and_only_where_something_lacks() {
        assert_eq!(paused_after([Errno::CONNABORTED; 10]).await, Duration::ZERO);
        // 5 + 10 + … + 640 ms, then twice a second, and what the timer rounds up.
        let waited = paused_after([Errno::MFILE; 10]).await;
        let expect = Duration::from_millis(5 * 255 + 2000);
        assert!(waited >= expect && waited < expect + Duration::from_millis(100), "{waited:?}");
    }
}
