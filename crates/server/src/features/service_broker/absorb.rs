//! What the answer to a catalogue request teaches us (OSB table A0.7). Pure.

use std::time::Duration;

use dispatch_engine::Backoff;
use dispatch_model::{
    broker_operation::Retry,
    service_broker::{CatalogRef, Status},
    status::{Condition, ConditionKind},
};
use jiff::Timestamp;

use crate::time;

/// What reading the catalogue came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Read {
    /// A good one, stored under this digest.
    Good { digest: String, api_version: String, warnings: Vec<String> },
    /// It answered with something that is not a catalogue: every reason.
    Bad(String),
    /// It said no, and will say so again until somebody acts.
    Refused(String),
    /// It did not answer as it should; later it may.
    Unreachable(String),
}

/// When to read a good catalogue again: an hour, give or take a tenth (decision 23).
fn refresh_at(now: Timestamp, random: u64) -> Timestamp {
    let spread = random % 720;
    time::after(now, Duration::from_secs(3_240 + spread))
}

pub(super) fn absorb(
    mut status: Status,
    generation: u64,
    read: Read,
    now: Timestamp,
    random: u64,
) -> Status {
    let words = match read {
        Read::Good { digest, api_version, warnings } => {
            let refresh_at = refresh_at(now, random);
            return Status {
                observed_generation: generation,
                catalog: Some(CatalogRef {
                    digest,
                    fetched: now,
                    refresh_at,
                    api_version,
                    warnings,
                }),
                failure: None,
                retry: Retry::default(),
                conditions: Vec::new(),
            };
        }
        Read::Bad(words) | Read::Refused(words) | Read::Unreachable(words) => words,
    };
    let tries = status.retry.tries.saturating_add(1);
    let wait = Backoff::TRANSIENT.delay(tries, random);
    status.retry =
        Retry { tries, not_before: Some(time::after(now, wait)), last_error: Some(words.clone()) };
    // The wish of this generation was looked at: whoever waits gets the reason. Trying goes on all the same.
    status.observed_generation = generation;
    if status.catalog.is_some() {
        // The last good catalogue stays in use; instances go on.
        let since = status
            .conditions
            .iter()
            .find(|condition| condition.kind == ConditionKind::CatalogStale)
            .map_or(now, |condition| condition.since);
        status.conditions =
            vec![Condition { kind: ConditionKind::CatalogStale, message: words, since }];
    } else {
        status.failure = Some(words);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn good() -> Read {
        Read::Good { digest: "d".to_owned(), api_version: "2.17".to_owned(), warnings: Vec::new() }
    }

    #[test]
    fn a_good_catalogue_ends_all_trouble_and_is_read_again_in_about_an_hour() {
        let troubled = Status {
            failure: Some("x".to_owned()),
            retry: Retry { tries: 4, not_before: Some(at(9)), last_error: None },
            ..Status::default()
        };
        for random in [0, 719, u64::MAX] {
            let status = absorb(troubled.clone(), 3, good(), at(100), random);
            assert_eq!((status.observed_generation, &status.failure), (3, &None));
            assert_eq!(status.retry, Retry::default());
            let again = status.catalog.unwrap().refresh_at.as_second() - 100;
            assert!((3_240..3_960).contains(&again), "{again}");
        }
    }

    #[test]
    fn a_first_registration_fails_with_the_reason_and_is_tried_again() {
        let read = Read::Unreachable("connection refused".to_owned());
        let status = absorb(Status::default(), 1, read, at(0), 0);
        assert_eq!(status.failure.as_deref(), Some("connection refused"));
        assert_eq!((status.observed_generation, status.retry.tries), (1, 1));
        assert_eq!(status.retry.not_before, Some(at(1)));
        let recovered = absorb(status, 1, good(), at(1), 0);
        assert_eq!(recovered.failure, None);
    }

    #[test]
    fn the_last_good_catalogue_stays_in_use_while_the_broker_is_away() {
        let known = absorb(Status::default(), 1, good(), at(0), 0);
        let away = absorb(known, 1, Read::Bad("no services".to_owned()), at(50), 0);
        assert_eq!(away.failure, None);
        assert!(away.catalog.is_some() && away.has_condition(ConditionKind::CatalogStale));
        let longer = absorb(away, 1, Read::Unreachable("away".to_owned()), at(60), 0);
        assert_eq!(longer.conditions[0].since, at(50));
    }
}
