//! The rules of operations at brokers, at their bounds.

use super::*;

fn at(second: i64) -> Circumstances {
    Circumstances {
        now: Timestamp::from_second(second).unwrap(),
        random: 0,
        polling_seconds_max: Some(1_000),
        maybe_sent: false,
        generation: 1,
        late_until: None,
    }
}

#[test]
fn what_is_not_there_but_may_still_come_is_looked_for_at_that_moment_and_no_failure() {
    let gone = |now, until: Option<i64>| {
        let late_until = until.map(|second| Timestamp::from_second(second).unwrap());
        removal(Outcome::Gone, Circumstances { late_until, ..at(now) })
    };
    assert_eq!(gone(100, None), Removal::Gone);
    assert_eq!(gone(100, Some(100)), Removal::Gone);
    let until = Timestamp::from_second(160).unwrap();
    let Removal::Late { words, until: next } = gone(100, Some(160)) else { panic!("not late") };
    assert_eq!(next, until);
    let retry = later(&Retry { tries: 3, ..Retry::default() }, words, next);
    assert_eq!((retry.tries, retry.not_before), (3, Some(until)));
}

#[test]
fn whoever_repeats_a_wish_does_not_wait_as_long_as_the_failures_before_it() {
    let flight = InFlight {
        verb: Verb::Deprovision,
        id: uuid::Uuid::nil(),
        generation: 1,
        begun: at(0).now,
        body: None,
        target: uuid::Uuid::nil(),
        accepted: None,
    };
    let tries = |generation| {
        let mut retry = Retry { tries: 14, ..Retry::default() };
        let (mut in_flight, mut wished, mut failure, mut last) = (None, None, None, None);
        Operation {
            in_flight: &mut in_flight,
            retry: &mut retry,
            wished: &mut wished,
            failure: &mut failure,
            last: &mut last,
        }
        .again(&flight, "no".to_owned(), None, Circumstances { generation, ..at(9) });
        assert_eq!(in_flight.map(|flight| flight.generation), Some(generation));
        retry.tries
    };
    assert_eq!(tries(1), 15);
    assert_eq!(tries(2), 1);
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

#[test]
fn an_operation_has_taken_the_time_from_its_request_until_its_end_was_seen() {
    let flight = |verb, begun| InFlight {
        verb,
        id: uuid::Uuid::nil(),
        generation: 1,
        begun: at(begun).now,
        body: None,
        target: uuid::Uuid::nil(),
        accepted: None,
    };
    let mut last = None;
    let mut say = |verb, begun, now, state| {
        let (mut in_flight, mut wished, mut failure) = (None, None, None);
        Operation {
            in_flight: &mut in_flight,
            retry: &mut Retry::default(),
            wished: &mut wished,
            failure: &mut failure,
            last: &mut last,
        }
        .say(&flight(verb, begun), state, String::new(), at(now));
        last.as_ref().and_then(|last| last.took_ms)
    };
    use OperationState::{Failed, InProgress, Succeeded};
    assert_eq!(say(Verb::Provision, 10, 11, InProgress), None);
    assert_eq!(say(Verb::Provision, 10, 40, Succeeded), Some(30_000));
    // Another operation begins anew, and reading its credentials belongs to a bind.
    assert_eq!(say(Verb::Bind, 41, 42, InProgress), None);
    assert_eq!(say(Verb::Fetch, 50, 52, Succeeded), Some(10_000));
    assert_eq!(say(Verb::Bind, 60, 61, Failed), Some(1_000));
}
