//! What answers teach about a binding, table by table.

use dispatch_osb::client::{Doubt, Refusal};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::testing::objects;

const TARGET: Uuid = Uuid::from_u128(7);

fn at(second: i64, maybe_sent: bool) -> Circumstances {
    let now = Timestamp::from_second(second).unwrap();
    Circumstances {
        now,
        random: 0,
        polling_seconds_max: None,
        maybe_sent,
        generation: 1,
        late_until: None,
    }
}

fn flight(verb: Verb) -> InFlight {
    InFlight {
        verb,
        id: Uuid::nil(),
        generation: 1,
        begun: at(0, false).now,
        body: Some(1),
        target: TARGET,
        accepted: None,
    }
}

fn with_credentials() -> BindingDocument {
    let credentials = json!({"password": "x"}).as_object().cloned();
    BindingDocument { credentials, ..BindingDocument::default() }
}

fn refusal(status: u16) -> Refusal {
    Refusal {
        status,
        code: None,
        description: "words".to_owned(),
        instance_usable: true,
        update_repeatable: true,
    }
}

/// Table A0.2, row by row: (credentials, still in flight, failed, orphan).
#[test]
fn binding_follows_table_a0_2() {
    let before =
        Status { attempt: Some(TARGET), wished: Some(at(0, false).now), ..Status::default() };
    let check = |outcome: Outcome<BindingDocument>, maybe_sent, expect| {
        let answer = Answer::Bound(outcome.clone());
        let found = absorb(&before, &flight(Verb::Bind), answer, at(10, maybe_sent));
        let status = &found.status;
        let seen = (
            found.document.is_some(),
            status.in_flight.is_some(),
            status.failure.is_some(),
            found.orphan.is_some(),
        );
        assert_eq!(seen, expect, "{outcome:?}");
        assert_eq!(status.attempt.is_some(), status.in_flight.is_some(), "{outcome:?}");
    };
    let doubt = Doubt {
        status: None,
        description: "reset".to_owned(),
        instance_usable: true,
        update_repeatable: true,
        retry_after: None,
    };
    let empty = BindingDocument::default;
    check(Outcome::Done(with_credentials()), true, (true, false, false, false));
    check(Outcome::Done(empty()), false, (true, false, false, false));
    check(Outcome::Done(empty()), true, (false, false, false, true));
    let accepted = Outcome::Accepted { answer: empty(), operation: None, retry_after: None };
    check(accepted, false, (false, true, false, false));
    check(Outcome::Rejected(refusal(422)), false, (false, false, true, false));
    check(Outcome::Rejected(refusal(409)), false, (false, false, true, false));
    check(Outcome::Rejected(refusal(409)), true, (false, false, false, true));
    check(Outcome::Rejected(refusal(400)), true, (false, false, true, true));
    check(Outcome::Unclear(doubt), false, (false, false, false, true));
    check(Outcome::NotSent("x".to_owned()), false, (false, true, false, false));
    check(Outcome::Garbled("x".to_owned()), false, (false, true, false, false));
    check(Outcome::Garbled("x".to_owned()), true, (false, false, false, true));
}

/// What is given up after it was asked for twice, too.
#[test]
fn what_was_asked_for_twice_is_removed_once_more() {
    let check = |before: &Status, verb, answer, now, maybe_sent, expect: Option<i64>| {
        let found = absorb(before, &flight(verb), answer, at(now, maybe_sent));
        let expect = expect.map(|second| at(second, false).now);
        assert_eq!(found.once_more, expect, "{:?}", found.status.resent);
        found.status
    };
    let made = || Answer::Bound(Outcome::Done(with_credentials()));
    let before = Status { attempt: Some(TARGET), ..Status::default() };
    let once = check(&before, Verb::Bind, made(), 10, false, None);
    let twice = check(&before, Verb::Bind, made(), 10, true, None);
    let unbound = || Answer::Unbound(Outcome::Done(()));
    check(&once, Verb::Unbind, unbound(), 20, false, None);
    let after = check(&twice, Verb::Unbind, unbound(), 20, false, Some(70));
    assert_eq!(after.resent, []);
    // As is a predecessor that the broker keeps, and an attempt that comes to nothing.
    let predecessor = Some(Predecessor { broker_binding_id: TARGET, version: 1 });
    let rotated = Status { predecessor, ..twice.clone() };
    let refused = Answer::Unbound(Outcome::Rejected(refusal(400)));
    check(&rotated, Verb::Unbind, refused, 20, false, Some(70));
    let empty = Answer::Bound(Outcome::Done(BindingDocument::default()));
    check(&before, Verb::Bind, empty, 10, true, Some(70));
}

#[test]
fn an_asynchronous_binding_is_fetched_and_a_failed_fetch_is_repeated() {
    let mut running = flight(Verb::Bind);
    running.accepted = Some(accepted(None, None, at(0, false)));
    let polled = Answer::Polled(Polled::Succeeded { description: None });
    let found = absorb(&Status::default(), &running, polled, at(10, true));
    let next = found.status.in_flight.clone().unwrap();
    assert_eq!((next.verb, next.accepted.as_ref()), (Verb::Fetch, None));
    let failed = Answer::Fetched(Fetched::Failed("502".to_owned()));
    let found = absorb(&found.status, &next, failed, at(11, false));
    assert_eq!(found.status.in_flight.as_ref().unwrap().verb, Verb::Fetch);
    let answer = Answer::Fetched(Fetched::Found(with_credentials()));
    let found = absorb(&found.status, &next, answer, at(12, false));
    assert!(found.document.is_some() && found.status.in_flight.is_none());
}

#[test]
fn a_successor_makes_the_credentials_in_use_the_predecessor() {
    let old = objects::credentials();
    let before = Status {
        credentials: Some(old.clone()),
        attempt: Some(TARGET),
        rotating: 1,
        ..Status::default()
    };
    let answer = Answer::Bound(Outcome::Done(with_credentials()));
    let found = absorb(&before, &flight(Verb::Bind), answer, at(10, false));
    let predecessor = found.status.predecessor.unwrap();
    assert_eq!(predecessor.broker_binding_id, old.broker_binding_id);
    assert_eq!((predecessor.version, found.status.rotated), (old.version, 1));
}

#[test]
fn a_predecessor_that_the_broker_keeps_is_left_to_be_cleaned_up() {
    let before = Status {
        predecessor: Some(Predecessor { broker_binding_id: TARGET, version: 1 }),
        ..Status::default()
    };
    let answer = Answer::Unbound(Outcome::Rejected(refusal(400)));
    let found = absorb(&before, &flight(Verb::Unbind), answer, at(10, false));
    assert!(found.orphan.is_some() && found.status.predecessor.is_none());
    let gone = Answer::Unbound(Outcome::Gone);
    let found = absorb(&before, &flight(Verb::Unbind), gone, at(10, false));
    assert!(found.orphan.is_none() && found.status.predecessor.is_none());
}
