//! How long to wait before the next try. The number of tries is the caller's, who keeps it where it survives a restart.

use std::time::Duration;

/// Doubling from `first` to `cap`, each with up to a quarter taken off at random so that waiters spread out.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    pub first: Duration,
    pub cap: Duration,
}

impl Backoff {
    /// Decision 23: transient retries.
    pub const TRANSIENT: Self =
        Self { first: Duration::from_secs(1), cap: Duration::from_secs(300) };
    /// Decision 23: deletes and orphans are tried for ever.
    pub const FOR_EVER: Self =
        Self { first: Duration::from_secs(1), cap: Duration::from_secs(3_600) };

    /// The wait after the `tries`-th failure (1 for the first). `random` decides the jitter.
    pub fn delay(self, tries: u32, random: u64) -> Duration {
        let doublings = tries.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.cap);
        let quarter = whole / 4;
        let nanos = u64::try_from(quarter.as_nanos()).unwrap_or(u64::MAX);
        whole - Duration::from_nanos(random.checked_rem(nanos.saturating_add(1)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_cap_and_loses_at_most_a_quarter() {
        let check = |tries, seconds: u64| {
            assert_eq!(Backoff::TRANSIENT.delay(tries, 0), Duration::from_secs(seconds));
            for random in [1, u64::MAX / 3, u64::MAX] {
                let wait = Backoff::TRANSIENT.delay(tries, random);
                let whole = Duration::from_secs(seconds);
                assert!(wait <= whole && wait >= whole * 3 / 4, "{tries}: {wait:?}");
            }
        };
        check(0, 1);
        check(1, 1);
        check(2, 2);
        check(9, 256);
        check(10, 300);
        check(u32::MAX, 300);
    }
}
