//! Rules about requests to brokers that hold for instances, bindings and orphans alike. Pure.

use std::time::Duration;

use dispatch_engine::Backoff;
use dispatch_model::broker_operation::{
    Accepted, InFlight, LastOperation, OperationState, Retry, Verb,
};
use dispatch_osb::client::{Outcome, Polled};
use jiff::Timestamp;

use crate::time;

/// After this a wish that could not be fulfilled is given up (decision 23).
pub const CREATE_GIVES_UP: Duration = Duration::from_secs(24 * 3_600);
/// The longest that an operation may take, unless the plan says less.
const OPERATION_MAX: Duration = Duration::from_secs(24 * 3_600);
/// A longer Retry-After is not believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// 404s in a row while polling a removal, after which the removal is sent again (table A0.5).
const NOT_FOUND_MAX: u32 = 3;

/// The surroundings in which an answer is understood.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    pub now: Timestamp,
    /// Decides the jitter.
    pub random: u64,
    /// The plan's `maximum_polling_duration` in seconds (OSB-045).
    pub polling_seconds_max: Option<u64>,
    /// The request may have reached the broker before this try, so that a conflict can be our own doing.
    pub maybe_sent: bool,
}

/// An operation that the broker has just accepted.
pub fn accepted(
    operation: Option<String>,
    retry_after: Option<Duration>,
    at: Circumstances,
) -> Accepted {
    let longest = at.polling_seconds_max.map_or(OPERATION_MAX, Duration::from_secs);
    Accepted {
        operation,
        since: at.now,
        deadline: time::after(at.now, longest.min(OPERATION_MAX)),
        poll_at: time::after(at.now, poll_pause(Duration::ZERO, retry_after)),
        not_found: 0,
    }
}

/// How long until the next poll: what the broker asks for, else a tenth of what has passed, 0.25 to 10 s (design §4).
pub fn poll_pause(elapsed: Duration, retry_after: Option<Duration>) -> Duration {
    match retry_after {
        Some(asked) => asked.min(RETRY_AFTER_MAX),
        None => (elapsed / 10).clamp(Duration::from_millis(250), Duration::from_secs(10)),
    }
}

/// One more failed try.
pub fn failed_try(
    retry: &Retry,
    verb: Verb,
    words: String,
    retry_after: Option<Duration>,
    at: Circumstances,
) -> Retry {
    let tries = retry.tries.saturating_add(1);
    let backoff = if verb.is_removal() { Backoff::FOR_EVER } else { Backoff::TRANSIENT };
    let wait = backoff.delay(tries, at.random);
    let wait = retry_after.map_or(wait, |asked| asked.min(RETRY_AFTER_MAX).max(wait));
    Retry { tries, not_before: Some(time::after(at.now, wait)), last_error: Some(words) }
}

/// `lastOperation`, keeping its time while the state stays the same.
pub fn last_operation(
    before: Option<&LastOperation>,
    verb: Verb,
    state: OperationState,
    description: String,
    now: Timestamp,
) -> LastOperation {
    let since = before
        .filter(|last| last.verb == verb && last.state == state)
        .map_or(now, |last| last.since);
    LastOperation { verb, state, description, since }
}

/// What an answer to a request that takes something away, or to a poll of one, comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It does not exist any more.
    Gone,
    /// The broker works on it.
    UnderWay { accepted: Accepted, description: Option<String> },
    /// Send it again, later.
    Again { words: String, retry_after: Option<Duration> },
    /// The broker will not, and says why.
    Refused(String),
}

/// Table A0.4.
pub fn removal(outcome: Outcome<()>, at: Circumstances) -> Removal {
    let again = |words, retry_after| Removal::Again { words, retry_after };
    match outcome {
        Outcome::Done(()) | Outcome::Gone => Removal::Gone,
        Outcome::Accepted { operation, retry_after, .. } => {
            Removal::UnderWay { accepted: accepted(operation, retry_after, at), description: None }
        }
        Outcome::Rejected(refusal) => Removal::Refused(refusal.description),
        Outcome::Busy { refusal, retry_after } => again(refusal.description, retry_after),
        Outcome::Unauthorized(refusal) => again(refusal.description, None),
        Outcome::Unclear(doubt) => again(doubt.description, doubt.retry_after),
        Outcome::Garbled(words) | Outcome::NotSent(words) => again(words, None),
    }
}

/// The delete column of table A0.5.
pub fn removal_polled(polled: Polled, before: &Accepted, at: Circumstances) -> Removal {
    let again = |words: String| Removal::Again { words, retry_after: None };
    let on = |not_found, retry_after, description| {
        if at.now >= before.deadline {
            return again("the broker did not finish deleting in time".to_owned());
        }
        let pause = poll_pause(time::since(before.since, at.now), retry_after);
        let poll_at = time::after(at.now, pause);
        Removal::UnderWay {
            accepted: Accepted { poll_at, not_found, ..before.clone() },
            description,
        }
    };
    match polled {
        Polled::Succeeded { .. } | Polled::Gone => Removal::Gone,
        Polled::InProgress { description, retry_after } => on(0, retry_after, description),
        Polled::Failed { description, .. } => {
            again(description.unwrap_or_else(|| "the broker failed to delete it".to_owned()))
        }
        Polled::BadRequest(refusal) => again(refusal.description),
        Polled::NotFound if before.not_found + 1 >= NOT_FOUND_MAX => {
            again("the broker does not know the operation any more".to_owned())
        }
        Polled::NotFound => on(before.not_found + 1, None, None),
        Polled::Unknown(_) => on(0, None, None),
    }
}

/// What a poll of an operation that makes something comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Making {
    Made {
        description: Option<String>,
    },
    UnderWay {
        accepted: Accepted,
        description: Option<String>,
    },
    /// It ended without success; what there is of it must be removed.
    Failed(String),
}

/// The create column of table A0.5.
pub fn making_polled(polled: Polled, before: &Accepted, at: Circumstances) -> Making {
    let on = |retry_after, description| {
        if at.now >= before.deadline {
            return Making::Failed("the broker did not finish in time".to_owned());
        }
        let pause = poll_pause(time::since(before.since, at.now), retry_after);
        let poll_at = time::after(at.now, pause);
        Making::UnderWay { accepted: Accepted { poll_at, ..before.clone() }, description }
    };
    match polled {
        Polled::Succeeded { description } => Making::Made { description },
        Polled::InProgress { description, retry_after } => on(retry_after, description),
        Polled::Failed { description, .. } => Making::Failed(
            description.unwrap_or_else(|| "the broker failed and did not say why".to_owned()),
        ),
        Polled::BadRequest(refusal) => Making::Failed(refusal.description),
        Polled::Gone | Polled::NotFound | Polled::Unknown(_) => on(None, None),
    }
}

/// When a flight may go on: its next poll, or its next try.
pub fn due(flight: &InFlight, retry: &Retry) -> Option<Timestamp> {
    match &flight.accepted {
        Some(accepted) => Some(accepted.poll_at),
        None => retry.not_before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Circumstances {
        Circumstances {
            now: Timestamp::from_second(second).unwrap(),
            random: 0,
            polling_seconds_max: Some(1_000),
            maybe_sent: false,
        }
    }

    #[test]
    fn polls_come_every_tenth_of_the_elapsed_time_unless_the_broker_asks() {
        let seconds = Duration::from_secs;
        let check = |elapsed, asked, expect| assert_eq!(poll_pause(elapsed, asked), expect);
        check(seconds(0), None, Duration::from_millis(250));
        check(seconds(5), None, Duration::from_millis(500));
        check(seconds(1_000), None, seconds(10));
        check(seconds(1_000), Some(seconds(30)), seconds(30));
        check(seconds(0), Some(seconds(86_400)), seconds(600));
    }

    #[test]
    fn a_removal_is_sent_again_when_its_operation_is_lost_failed_or_takes_too_long() {
        let running = accepted(Some("op".to_owned()), None, at(0));
        let check = |polled: Polled, before: &Accepted, second, again: bool| {
            let found = removal_polled(polled.clone(), before, at(second));
            assert_eq!(matches!(found, Removal::Again { .. }), again, "{polled:?}: {found:?}");
        };
        check(Polled::Unknown("502".to_owned()), &running, 10, false);
        check(Polled::Unknown("502".to_owned()), &running, 1_000, true);
        check(Polled::NotFound, &running, 10, false);
        check(Polled::NotFound, &Accepted { not_found: 2, ..running.clone() }, 10, true);
        let failed =
            Polled::Failed { description: None, instance_usable: true, update_repeatable: true };
        check(failed, &running, 10, true);
        assert_eq!(removal_polled(Polled::Gone, &running, at(1)), Removal::Gone);
    }

    #[test]
    fn a_creation_is_polled_through_nonsense_until_its_time_is_over() {
        let running = accepted(None, None, at(0));
        for polled in [Polled::Gone, Polled::NotFound, Polled::Unknown("x".to_owned())] {
            let on = making_polled(polled.clone(), &running, at(999));
            assert!(matches!(on, Making::UnderWay { .. }), "{on:?}");
            let over = making_polled(polled, &running, at(1_000));
            assert!(matches!(over, Making::Failed(_)), "{over:?}");
        }
    }
}
