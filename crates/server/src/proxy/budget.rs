//! Copying between a build and the world, within bounds: bytes over all connections of the build, and silence.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout_at},
};

/// Why copying ended before both sides had ended it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("the build has sent as much as it may")]
    Sent,
    #[error("the build has received as much as it may")]
    Received,
    #[error("nothing moved for too long")]
    Idle,
    #[error("the connection broke")]
    Io(#[from] io::Error),
}

/// Bytes that a build may still send and receive.
#[derive(Debug)]
pub(super) struct Budget {
    sent: AtomicU64,
    received: AtomicU64,
}

/// From the build's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Sent,
    Received,
}

impl Budget {
    pub(super) const fn new(sent: u64, received: u64) -> Self {
        Self { sent: AtomicU64::new(sent), received: AtomicU64::new(received) }
    }

    /// Takes so many bytes, or none and the budget is used up.
    pub(super) fn take(&self, direction: Direction, count: usize) -> Result<(), CopyError> {
        let (left, error) = match direction {
            Direction::Sent => (&self.sent, CopyError::Sent),
            Direction::Received => (&self.received, CopyError::Received),
        };
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let taken =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(count));
        taken.map(drop).map_err(|_| error)
    }
}

/// When something last moved on a connection, in either direction.
#[derive(Debug)]
pub(super) struct Silence {
    begun: Instant,
    last_ms: AtomicU64,
    bound: Duration,
}

impl Silence {
    pub(super) fn new(bound: Duration) -> Self {
        Self { begun: Instant::now(), last_ms: AtomicU64::new(0), bound }
    }

    fn deadline(&self) -> Instant {
        self.begun + Duration::from_millis(self.last_ms.load(Ordering::Relaxed)) + self.bound
    }

    /// Waits for one step as long as the connection as a whole is not silent.
    async fn within<T>(&self, step: impl Future<Output = io::Result<T>>) -> Result<T, CopyError> {
        let mut step = std::pin::pin!(step);
        loop {
            let deadline = self.deadline();
            match timeout_at(deadline, &mut step).await {
                Ok(done) => {
                    let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                    self.last_ms.store(now, Ordering::Relaxed);
                    return Ok(done?);
                }
                Err(_) if self.deadline() > deadline => {}
                Err(_) => return Err(CopyError::Idle),
            }
        }
    }
}

/// Copies until the end of `from`, and passes the end on.
pub(super) async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    budget: &Budget,
    direction: Direction,
    silence: &Silence,
) -> Result<(), CopyError> {
    let mut buffer = vec![0u8; 16 << 10];
    loop {
        let count = silence.within(from.read(&mut buffer)).await?;
        if count == 0 {
            return Ok(to.shutdown().await?);
        }
        budget.take(direction, count)?;
        let part = buffer.get(..count).unwrap_or_default();
        silence.within(to.write_all(part)).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_to_its_last_byte_and_no_further() {
        let budget = Budget::new(3, 1);
        budget.take(Direction::Sent, 2).unwrap();
        assert!(matches!(budget.take(Direction::Sent, 2), Err(CopyError::Sent)));
        budget.take(Direction::Sent, 1).unwrap();
        assert!(matches!(budget.take(Direction::Sent, 1), Err(CopyError::Sent)));
        budget.take(Direction::Received, 1).unwrap();
        assert!(matches!(budget.take(Direction::Received, 1), Err(CopyError::Received)));
    }
}
