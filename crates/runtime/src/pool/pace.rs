//! How long starts and calls of a function take, and whether it fails again and again. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::Settings;

/// Assumed until the first start was seen.
const FIRST_GUESS: Duration = Duration::from_millis(50);

/// Running means over about eight events.
#[derive(Debug, Default)]
pub(super) struct Pace {
    start: Option<Duration>,
    call: Option<Duration>,
}

impl Pace {
    pub(super) fn saw_start(&mut self, took: Duration) {
        self.start = Some(mean(self.start, took));
    }

    pub(super) fn saw_call(&mut self, took: Duration) {
        self.call = Some(mean(self.call, took));
    }

    /// How long a start is expected to take.
    pub(super) fn start(&self) -> Duration {
        self.start.unwrap_or(FIRST_GUESS)
    }

    /// Whether `waiting` calls would rather have another worker than wait for `serving` ones.
    pub(super) fn queue_is_longer_than_a_start(&self, waiting: usize, serving: usize) -> bool {
        let Some(call) = self.call else { return false };
        let turns = u32::try_from(waiting.div_ceil(serving.max(1))).unwrap_or(u32::MAX);
        call.saturating_mul(turns) > self.start()
    }
}

fn mean(before: Option<Duration>, now: Duration) -> Duration {
    before.map_or(now, |before| (before * 7 + now) / 8)
}

/// Failures in a row and the delay they cost.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) failures: u32,
    pub(super) reason: String,
    until: Option<Instant>,
}

impl Health {
    pub(super) fn failed(&mut self, reason: String, now: Instant, settings: &Settings) {
        self.failures = self.failures.saturating_add(1);
        self.reason = reason;
        if self.failures >= settings.free_failures {
            let doublings = (self.failures - settings.free_failures).min(16);
            let delay = settings.first_backoff.saturating_mul(1 << doublings);
            self.until = Some(now + delay.min(settings.max_backoff));
        }
    }

    /// A call succeeded, or the function was changed.
    pub(super) fn recovered(&mut self) {
        if self.failures > 0 {
            *self = Self::default();
        }
    }

    /// How long no worker is started.
    pub(super) fn delay(&self, now: Instant) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_failure_delays_starts_twice_as_long_each_time_up_to_the_bound() {
        let settings = Settings::default();
        let now = Instant::now();
        let mut health = Health::default();
        let delays: Vec<u128> = (0..14)
            .map(|_| {
                health.failed("x".to_owned(), now, &settings);
                health.delay(now).as_millis()
            })
            .collect();
        let expect =
            [0, 0, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000, 30000];
        assert_eq!(delays, expect);
        health.recovered();
        assert_eq!(health.delay(now), Duration::ZERO);
        health.failed("x".to_owned(), now, &settings);
        assert_eq!(health.delay(now), Duration::ZERO, "the count starts anew");
    }

    #[test]
    fn another_worker_is_worth_it_when_the_queue_takes_longer_than_a_start() {
        let mut pace = Pace::default();
        assert!(!pace.queue_is_longer_than_a_start(100, 1), "nothing is known of its calls");
        pace.saw_start(Duration::from_millis(40));
        pace.saw_call(Duration::from_millis(1));
        assert!(!pace.queue_is_longer_than_a_start(40, 1));
        assert!(pace.queue_is_longer_than_a_start(41, 1));
        assert!(!pace.queue_is_longer_than_a_start(80, 2));
        for _ in 0..50 {
            pace.saw_call(Duration::from_secs(1));
        }
        assert!(pace.queue_is_longer_than_a_start(1, 1));
    }
}
