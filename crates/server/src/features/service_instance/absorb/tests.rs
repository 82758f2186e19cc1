//! What answers teach about an instance, table by table.

use dispatch_osb::client::{Doubt, Refusal, RefusalCode};
use jiff::Timestamp;
use uuid::Uuid;

use super::*;

fn at(second: i64) -> Circumstances {
    let now = Timestamp::from_second(second).unwrap();
    Circumstances {
        now,
        random: 0,
        polling_seconds_max: None,
        maybe_sent: false,
        generation: 1,
        late_until: None,
    }
}

fn flight(verb: Verb) -> InFlight {
    InFlight {
        verb,
        id: Uuid::nil(),
        generation: 1,
        begun: at(0).now,
        body: Some(1),
        target: Uuid::from_u128(7),
        accepted: None,
    }
}

fn refusal(status: u16, code: Option<RefusalCode>) -> Refusal {
    Refusal {
        status,
        code,
        description: "words".to_owned(),
        instance_usable: true,
        update_repeatable: true,
    }
}

fn doubt() -> Doubt {
    Doubt {
        status: Some(500),
        description: "words".to_owned(),
        instance_usable: true,
        update_repeatable: true,
        retry_after: None,
    }
}

/// (presence, still in flight, failed, orphan)
type Seen = (Presence, bool, bool, bool);

fn seen(absorbed: &Absorbed) -> Seen {
    let status = &absorbed.status;
    (
        status.presence,
        status.in_flight.is_some(),
        status.failure.is_some(),
        absorbed.orphan.is_some(),
    )
}

/// Table A0.1, row by row; what each outcome means for an instance whose first try this is.
#[test]
fn provisioning_follows_table_a0_1() {
    use Presence::{Absent, Present, Unknown};
    let before = Status {
        wished: Some(at(0).now),
        broker_instance_id: Some(Uuid::from_u128(7)),
        ..Status::default()
    };
    let check = |outcome: Outcome<ProvisionAnswer>, maybe_sent, expect: Seen| {
        let at = Circumstances { maybe_sent, ..at(10) };
        let answer = Answer::Provisioned(outcome.clone());
        let found = absorb(&before, &flight(Verb::Provision), answer, at);
        assert_eq!(seen(&found), expect, "{outcome:?}");
        let fresh_id = found.status.broker_instance_id.is_none();
        assert_eq!(fresh_id, found.orphan.is_some(), "a given up id is never used again");
    };
    let answer = ProvisionAnswer::default;
    check(Outcome::Done(answer()), false, (Present, false, false, false));
    let accepted = Outcome::Accepted { answer: answer(), operation: None, retry_after: None };
    check(accepted, false, (Unknown, true, false, false));
    check(Outcome::Rejected(refusal(400, None)), false, (Absent, false, true, false));
    check(Outcome::Rejected(refusal(409, None)), false, (Absent, false, true, false));
    check(Outcome::Rejected(refusal(409, None)), true, (Absent, false, false, true));
    check(Outcome::Rejected(refusal(400, None)), true, (Absent, false, true, true));
    let busy = Outcome::Busy {
        refusal: refusal(422, Some(RefusalCode::ConcurrencyError)),
        retry_after: None,
    };
    check(busy, false, (Absent, true, false, false));
    check(Outcome::Unauthorized(refusal(401, None)), false, (Absent, true, false, false));
    check(Outcome::Unclear(doubt()), false, (Absent, false, false, true));
    check(Outcome::NotSent("refused".to_owned()), false, (Absent, true, false, false));
    check(Outcome::Garbled("html".to_owned()), false, (Unknown, true, false, false));
}

#[test]
fn a_second_garbled_answer_is_a_failure_and_is_not_deleted() {
    let before = Status { presence: Presence::Unknown, ..Status::default() };
    for outcome in [
        Outcome::Garbled("html".to_owned()),
        // What is there does not vanish because the next request is refused.
        Outcome::Rejected(refusal(400, None)),
    ] {
        let answer = Answer::Provisioned(outcome);
        let found = absorb(&before, &flight(Verb::Provision), answer, at(10));
        assert_eq!(seen(&found), (Presence::Unknown, false, true, false));
    }
    let answer = Answer::Provisioned(Outcome::Rejected(refusal(409, None)));
    let found = absorb(&before, &flight(Verb::Provision), answer, at(10));
    assert_eq!(seen(&found), (Presence::Absent, false, false, true));
}

/// Nothing is kept of such a try but the time of the next.
#[test]
fn a_request_that_cannot_be_made_is_tried_again_at_its_time_and_not_at_once() {
    let mut instance = crate::testing::objects::instance();
    let unprepared = InFlight { body: None, ..flight(Verb::Provision) };
    for tries in 1..=3 {
        let answer = Answer::NotAsked("the login has no password".to_owned());
        instance.status = absorb(&instance.status, &unprepared, answer, at(10)).status;
        assert_eq!(instance.status.in_flight, None);
        assert_eq!(instance.status.retry.tries, tries);
        let next = super::super::plan::plan(&instance, Default::default(), at(10).now);
        let waits =
            matches!(next, super::super::plan::Step::WaitUntil(until) if until > at(10).now);
        assert!(waits, "{next:?}");
    }
    instance.meta.generation += 1;
    let next = super::super::plan::plan(&instance, Default::default(), at(10).now);
    assert_eq!(next, super::super::plan::Step::Begin(Verb::Provision), "somebody asked again");
}

#[test]
fn a_creation_is_given_up_after_a_day() {
    let before = Status { wished: Some(at(0).now), ..Status::default() };
    let check = |outcome: Outcome<ProvisionAnswer>, second, failed: bool| {
        let answer = Answer::Provisioned(outcome.clone());
        let found = absorb(&before, &flight(Verb::Provision), answer, at(second));
        assert_eq!(found.status.failure.is_some(), failed, "{outcome:?} at {second}");
    };
    for outcome in [Outcome::NotSent("x".to_owned()), Outcome::Unclear(doubt())] {
        check(outcome.clone(), 86_399, false);
        check(outcome, 86_400, true);
    }
}

/// Table A0.5, create column.
#[test]
fn a_failed_operation_is_a_failure_in_the_brokers_words_and_leaves_an_orphan() {
    let mut running = flight(Verb::Provision);
    running.accepted = Some(accepted(None, None, at(0)));
    let polled = Polled::Failed {
        description: Some("quota exceeded".to_owned()),
        instance_usable: true,
        update_repeatable: true,
    };
    let found = absorb(&Status::default(), &running, Answer::Polled(polled), at(10));
    assert_eq!(seen(&found), (Presence::Absent, false, true, true));
    assert_eq!(found.status.failure.unwrap().message, "quota exceeded");
}

#[test]
fn what_was_asked_for_twice_is_removed_once_more() {
    let check = |maybe_sent, begun, expect: Option<i64>| {
        let answer = Answer::Provisioned(Outcome::Done(ProvisionAnswer::default()));
        let sent = Circumstances { maybe_sent, ..at(10) };
        let made = absorb(&Status::default(), &flight(Verb::Provision), answer, sent);
        assert_eq!(made.once_more, None);
        let removal = InFlight { begun: at(begun).now, ..flight(Verb::Deprovision) };
        for outcome in [Outcome::Done(()), Outcome::Gone] {
            let removed = Answer::Deprovisioned(outcome);
            let found = absorb(&made.status, &removal, removed, at(200));
            let expect = expect.map(|second| at(second).now);
            assert_eq!((found.gone, found.once_more), (true, expect));
        }
    };
    check(false, 20, None);
    check(true, 20, Some(70));
    check(true, 70, None);
}

/// Table A0.4.
#[test]
fn deprovisioning_follows_table_a0_4() {
    let before = Status { presence: Presence::Present, ..Status::default() };
    let check = |outcome: Outcome<()>, gone: bool, in_flight: bool, failed: bool| {
        let answer = Answer::Deprovisioned(outcome.clone());
        let found = absorb(&before, &flight(Verb::Deprovision), answer, at(10));
        let status = &found.status;
        let seen = (found.gone, status.in_flight.is_some(), status.failure.is_some());
        assert_eq!(seen, (gone, in_flight, failed), "{outcome:?}");
        assert_eq!(found.orphan, None, "a delete needs no mitigation: it is sent again");
    };
    check(Outcome::Done(()), true, false, false);
    check(Outcome::Gone, true, false, false);
    check(Outcome::Rejected(refusal(404, None)), false, false, true);
    check(Outcome::Unclear(doubt()), false, true, false);
    check(Outcome::NotSent("x".to_owned()), false, true, false);
    check(Outcome::Garbled("x".to_owned()), false, true, false);
    let busy = Outcome::Busy { refusal: refusal(422, None), retry_after: None };
    check(busy, false, true, false);
}

#[test]
fn while_the_broker_works_a_client_that_cannot_be_made_does_not_start_it_again() {
    let mut running = flight(Verb::Provision);
    running.accepted = Some(accepted(Some("op".to_owned()), None, at(0)));
    let answer = Answer::NotAsked("the secret is gone".to_owned());
    let found = absorb(&Status::default(), &running, answer, at(10));
    let accepted = found.status.in_flight.unwrap().accepted.unwrap();
    assert_eq!((accepted.operation.as_deref(), accepted.poll_at), (Some("op"), at(11).now));
}
