//! Arithmetic with times that ends at the end of time instead of failing there.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub fn after(now: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// How long it is from `earlier` to `now`; zero if that is in the future.
pub fn since(earlier: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(earlier)).unwrap_or(Duration::ZERO)
}
