//! A descriptor in tokio's reactor.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Takes a non-blocking descriptor into the reactor of the current runtime.
#[expect(unsafe_code, reason = "tokio's constructor cannot know that the descriptor stays open")]
pub(super) fn watched(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd stays open and the same until the AsyncFd, which now owns it, is dropped.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(Into::into)
}
