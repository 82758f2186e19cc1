//! What an answer of the broker teaches us about an instance, by the tables A0.1, A0.4 and A0.5. Pure.

use dispatch_model::{
    broker_operation::{InFlight, Presence, Verb},
    service_instance::Status,
    status::ConditionKind,
};
use dispatch_osb::{
    client::{Outcome, Polled},
    types::ProvisionAnswer,
};

use crate::broker_operation::{
    Abandoned, Circumstances, Making, Operation, Removal, accepted, is_without_effect,
    making_polled, removal, removal_polled,
};

/// An answer to what is in flight.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Provisioned(Outcome<ProvisionAnswer>),
    Deprovisioned(Outcome<()>),
    Polled(Polled),
    /// It could not even be asked: a fragment that says why.
    NotAsked(String),
}

impl Answer {
    /// Nothing can have come of the request.
    pub(super) const fn is_without_effect(&self) -> bool {
        match self {
            Self::NotAsked(_) => true,
            Self::Provisioned(outcome) => is_without_effect(outcome),
            Self::Deprovisioned(_) | Self::Polled(_) => false,
        }
    }
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Absorbed {
    pub(super) status: Status,
    /// What is given up and has to be removed at the broker.
    pub(super) orphan: Option<Abandoned>,
    /// Nothing is there any more: the object can go.
    pub(super) gone: bool,
}

impl Absorbed {
    const fn of(status: Status) -> Self {
        Self { status, orphan: None, gone: false }
    }
}

pub(super) fn absorb(
    status: &Status,
    flight: &InFlight,
    answer: Answer,
    at: Circumstances,
) -> Absorbed {
    let status = status.clone();
    match (flight.verb, answer) {
        (_, Answer::NotAsked(words)) => not_asked(status, flight, words, at),
        (Verb::Deprovision, Answer::Polled(polled)) => match &flight.accepted {
            Some(before) => removed(status, flight, removal_polled(polled, before, at), at),
            None => Absorbed::of(status),
        },
        (_, Answer::Deprovisioned(outcome)) => removed(status, flight, removal(outcome, at), at),
        (_, Answer::Polled(polled)) => match &flight.accepted {
            Some(before) => made(status, flight, making_polled(polled, before, at), at),
            None => Absorbed::of(status),
        },
        (_, Answer::Provisioned(outcome)) => provisioned(status, flight, outcome, at),
    }
}

/// Table A0.1.
fn provisioned(
    mut status: Status,
    flight: &InFlight,
    outcome: Outcome<ProvisionAnswer>,
    at: Circumstances,
) -> Absorbed {
    match outcome {
        Outcome::Done(answer) => {
            status.dashboard_url = answer.dashboard_url;
            ready(status, flight, None, at)
        }
        Outcome::Accepted { answer, operation, retry_after } => {
            status.dashboard_url = answer.dashboard_url;
            status.presence = Presence::Unknown;
            operate(&mut status, |on| {
                on.under_way(flight, accepted(operation, retry_after, at), None, at);
            });
            Absorbed::of(status)
        }
        // Our own earlier try may have made it, with an answer that we never saw.
        Outcome::Rejected(refusal)
            if refusal.status == 409 && (at.maybe_sent || status.presence == Presence::Unknown) =>
        {
            abandon(status, flight, Abandoned::answered(refusal.description), at)
        }
        Outcome::Rejected(refusal) => end(status, flight, refusal.description, at),
        Outcome::Busy { refusal, retry_after } => {
            again(status, flight, refusal.description, retry_after, at)
        }
        Outcome::Unauthorized(refusal) => again(status, flight, refusal.description, None, at),
        Outcome::NotSent(words) => again(status, flight, words, None, at),
        Outcome::Unclear(doubt) => abandon(status, flight, Abandoned::of(doubt), at),
        // It is made, but what was answered is lost. Asking once more is harmless; deleting is not (A0.1).
        Outcome::Garbled(words) if status.presence != Presence::Unknown => {
            status.presence = Presence::Unknown;
            again(status, flight, words, None, at)
        }
        Outcome::Garbled(words) => end(status, flight, words, at),
        Outcome::Gone => {
            let cause = "the broker answered 410".to_owned();
            abandon(status, flight, Abandoned::answered(cause), at)
        }
    }
}

/// The create column of table A0.5.
fn made(mut status: Status, flight: &InFlight, making: Making, at: Circumstances) -> Absorbed {
    match making {
        Making::Made { description } => ready(status, flight, description, at),
        Making::UnderWay { accepted, description } => {
            operate(&mut status, |on| on.under_way(flight, accepted, description, at));
            Absorbed::of(status)
        }
        Making::Failed(words) => {
            fail(&mut status, flight, words.clone(), at);
            give_up(status, Abandoned::answered(words))
        }
    }
}

/// Table A0.4 and the delete column of A0.5.
fn removed(mut status: Status, flight: &InFlight, removal: Removal, at: Circumstances) -> Absorbed {
    match removal {
        Removal::Gone => return Absorbed { status, orphan: None, gone: true },
        Removal::UnderWay { accepted, description } => {
            operate(&mut status, |on| on.under_way(flight, accepted, description, at));
        }
        Removal::Again { words, retry_after } => {
            operate(&mut status, |on| on.again(flight, words, retry_after, at));
        }
        Removal::Late { words, until } => {
            operate(&mut status, |on| on.later(flight, words, until, at));
        }
        Removal::Refused(words) => {
            if status.presence == Presence::Absent {
                // It was never seen to exist, and is not known not to.
                status.presence = Presence::Unknown;
            }
            status.set_condition(ConditionKind::DeleteFailed, words.clone(), at.now);
            fail(&mut status, flight, format!("{words}; delete again or purge"), at);
        }
    }
    Absorbed::of(status)
}

fn not_asked(mut status: Status, flight: &InFlight, words: String, at: Circumstances) -> Absorbed {
    match &flight.accepted {
        Some(before) => {
            operate(&mut status, |on| on.unasked(flight, before, words, at));
            Absorbed::of(status)
        }
        None if flight.verb == Verb::Provision => {
            let mut absorbed = again(status, flight, words, None, at);
            if flight.body.is_none() {
                // Nothing was prepared either: the next try begins anew.
                absorbed.status.in_flight = None;
            }
            absorbed
        }
        None => {
            operate(&mut status, |on| on.again(flight, words, None, at));
            Absorbed::of(status)
        }
    }
}

fn ready(
    mut status: Status,
    flight: &InFlight,
    description: Option<String>,
    at: Circumstances,
) -> Absorbed {
    status.presence = Presence::Present;
    status.observed_generation = flight.generation;
    operate(&mut status, |on| on.succeeded(flight, description.unwrap_or_default(), at));
    Absorbed::of(status)
}

/// The same creation again, later; if it has been tried for long enough: the end.
fn again(
    mut status: Status,
    flight: &InFlight,
    words: String,
    retry_after: Option<std::time::Duration>,
    at: Circumstances,
) -> Absorbed {
    if operate(&mut status, |on| on.is_over(at.now)) {
        return end(status, flight, words, at);
    }
    operate(&mut status, |on| on.again(flight, words, retry_after, at));
    Absorbed::of(status)
}

/// Creating ends with an error. What an earlier try may have made goes to the orphans; what is known to be there
/// stays, to be deleted by whoever wants it to be (A0.1: never automatically).
fn end(mut status: Status, flight: &InFlight, words: String, at: Circumstances) -> Absorbed {
    fail(&mut status, flight, words.clone(), at);
    if status.presence == Presence::Unknown {
        return Absorbed::of(status);
    }
    if at.maybe_sent {
        return give_up(status, Abandoned::unanswered(words));
    }
    status.presence = Presence::Absent;
    Absorbed::of(status)
}

/// Something may exist under this attempt's id: leave it to be removed, and try again under a new id (decision 21).
fn abandon(
    mut status: Status,
    flight: &InFlight,
    abandoned: Abandoned,
    at: Circumstances,
) -> Absorbed {
    let words = abandoned.cause.clone();
    if operate(&mut status, |on| on.is_over(at.now)) {
        fail(&mut status, flight, words, at);
    } else {
        operate(&mut status, |on| on.anew(flight, words, at));
        status.observed_generation = at.generation;
    }
    give_up(status, abandoned)
}

/// This attempt's id is never used again.
fn give_up(mut status: Status, abandoned: Abandoned) -> Absorbed {
    status.presence = Presence::Absent;
    status.broker_instance_id = None;
    Absorbed { status, orphan: Some(abandoned), gone: false }
}

fn fail(status: &mut Status, flight: &InFlight, words: String, at: Circumstances) {
    status.observed_generation = flight.generation;
    operate(status, |on| on.failed(flight, words, at));
}

fn operate<T>(status: &mut Status, change: impl FnOnce(&mut Operation<'_>) -> T) -> T {
    change(&mut Operation {
        in_flight: &mut status.in_flight,
        retry: &mut status.retry,
        wished: &mut status.wished,
        failure: &mut status.failure,
        last: &mut status.last_operation,
    })
}

#[cfg(test)]
mod tests {
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
}
