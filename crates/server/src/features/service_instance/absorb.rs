//! What an answer of the broker teaches us about an instance, by the tables A0.1, A0.4 and A0.5. Pure.

use dispatch_model::{
    broker_operation::{
        Accepted, Failure, InFlight, LastOperation, OperationState, Presence, Retry, Verb,
    },
    service_instance::Status,
    status::ConditionKind,
};
use dispatch_osb::{
    client::{Outcome, Polled},
    types::ProvisionAnswer,
};

use crate::{
    broker_operation::{
        CREATE_GIVES_UP, Circumstances, Making, Removal, accepted, failed_try, last_operation,
        making_polled, removal, removal_polled,
    },
    time,
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

/// What follows from it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Absorbed {
    pub(super) status: Status,
    /// The attempt is given up and may have left something at the broker; why.
    pub(super) orphan: Option<String>,
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
        (_, Answer::NotAsked(words)) => match &flight.accepted {
            Some(accepted) => unasked(status, flight, accepted, words, at),
            // Nothing was prepared either: the next try begins anew.
            None if flight.verb == Verb::Provision && flight.body.is_none() => {
                let mut absorbed = again(status, flight, words, None, at);
                absorbed.status.in_flight = None;
                absorbed
            }
            None => again(status, flight, words, None, at),
        },
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
            status.retry = Retry::default();
            let accepted = accepted(operation, retry_after, at);
            under_way(status, flight, accepted, None, at)
        }
        // Our own earlier try may have made it, with an answer that we never saw.
        Outcome::Rejected(refusal) if refusal.status == 409 && at.maybe_sent => {
            abandon(status, flight, refusal.description, at)
        }
        Outcome::Rejected(refusal) => {
            status.presence = Presence::Absent;
            Absorbed::of(failed(status, flight, refusal.description, at))
        }
        Outcome::Busy { refusal, retry_after } => {
            again(status, flight, refusal.description, retry_after, at)
        }
        Outcome::Unauthorized(refusal) => again(status, flight, refusal.description, None, at),
        Outcome::NotSent(words) => again(status, flight, words, None, at),
        Outcome::Unclear(doubt) => abandon(status, flight, doubt.description, at),
        // It is made, but what was answered is lost. Asking once more is harmless; deleting is not (A0.1).
        Outcome::Garbled(words) if status.retry.tries == 0 => {
            again(status, flight, words, None, at)
        }
        Outcome::Garbled(words) => {
            status.presence = Presence::Unknown;
            Absorbed::of(failed(status, flight, words, at))
        }
        Outcome::Gone => abandon(status, flight, "the broker answered 410".to_owned(), at),
    }
}

/// The create column of table A0.5.
fn made(status: Status, flight: &InFlight, making: Making, at: Circumstances) -> Absorbed {
    match making {
        Making::Made { description } => ready(status, flight, description, at),
        Making::UnderWay { accepted, description } => {
            under_way(status, flight, accepted, description, at)
        }
        Making::Failed(words) => {
            let mut status = failed(status, flight, words.clone(), at);
            status.presence = Presence::Absent;
            status.broker_instance_id = None;
            Absorbed { status, orphan: Some(words), gone: false }
        }
    }
}

/// Table A0.4 and the delete column of A0.5.
fn removed(mut status: Status, flight: &InFlight, removal: Removal, at: Circumstances) -> Absorbed {
    match removal {
        Removal::Gone => Absorbed { status, orphan: None, gone: true },
        Removal::UnderWay { accepted, description } => {
            status.retry = Retry::default();
            under_way(status, flight, accepted, description, at)
        }
        Removal::Again { words, retry_after } => again(status, flight, words, retry_after, at),
        Removal::Refused(words) => {
            status.set_condition(
                ConditionKind::DeleteFailed,
                "the broker refused; delete again, or purge (which leaves it at the broker)"
                    .to_owned(),
                at.now,
            );
            Absorbed::of(failed(status, flight, words, at))
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
    status.in_flight = None;
    status.retry = Retry::default();
    status.failure = None;
    status.wished = None;
    let words = description.unwrap_or_default();
    status.last_operation = said(&status, flight.verb, OperationState::Succeeded, words, at);
    Absorbed::of(status)
}

fn under_way(
    mut status: Status,
    flight: &InFlight,
    accepted: Accepted,
    description: Option<String>,
    at: Circumstances,
) -> Absorbed {
    // A broker that says nothing this time has not taken back what it said before.
    let before = status.last_operation.as_ref().filter(|last| last.verb == flight.verb);
    let words = description.or_else(|| before.map(|last| last.description.clone()));
    let words = words.unwrap_or_default();
    status.last_operation = said(&status, flight.verb, OperationState::InProgress, words, at);
    status.in_flight = Some(InFlight { accepted: Some(accepted), ..flight.clone() });
    Absorbed::of(status)
}

/// The broker works on it, and we could not ask how far it is.
fn unasked(
    mut status: Status,
    flight: &InFlight,
    before: &Accepted,
    words: String,
    at: Circumstances,
) -> Absorbed {
    status.retry = failed_try(&status.retry, flight.verb, words, None, at);
    let poll_at = status.retry.not_before.unwrap_or(at.now);
    let accepted = Some(Accepted { poll_at, ..before.clone() });
    status.in_flight = Some(InFlight { accepted, ..flight.clone() });
    Absorbed::of(status)
}

/// The same request again, later; for a creation that has been tried for long enough: the end.
fn again(
    mut status: Status,
    flight: &InFlight,
    words: String,
    retry_after: Option<std::time::Duration>,
    at: Circumstances,
) -> Absorbed {
    if !flight.verb.is_removal() && is_over(&status, at) {
        return Absorbed::of(failed(status, flight, words, at));
    }
    status.retry = failed_try(&status.retry, flight.verb, words, retry_after, at);
    status.in_flight = Some(InFlight { accepted: None, ..flight.clone() });
    Absorbed::of(status)
}

/// Something may exist under this attempt's id: leave it to be removed, and try again under a new id (decision 21).
fn abandon(mut status: Status, flight: &InFlight, words: String, at: Circumstances) -> Absorbed {
    status = if is_over(&status, at) {
        failed(status, flight, words.clone(), at)
    } else {
        let retry = failed_try(&status.retry, flight.verb, words.clone(), None, at);
        Status { retry, in_flight: None, ..status }
    };
    status.presence = Presence::Absent;
    status.broker_instance_id = None;
    Absorbed { status, orphan: Some(words), gone: false }
}

fn failed(mut status: Status, flight: &InFlight, words: String, at: Circumstances) -> Status {
    status.in_flight = None;
    status.retry = Retry::default();
    status.wished = None;
    status.observed_generation = flight.generation;
    status.failure = Some(Failure { generation: flight.generation, message: words.clone() });
    status.last_operation = said(&status, flight.verb, OperationState::Failed, words, at);
    status
}

fn is_over(status: &Status, at: Circumstances) -> bool {
    status.wished.is_some_and(|begun| time::since(begun, at.now) >= CREATE_GIVES_UP)
}

fn said(
    status: &Status,
    verb: Verb,
    state: OperationState,
    words: String,
    at: Circumstances,
) -> Option<LastOperation> {
    Some(last_operation(status.last_operation.as_ref(), verb, state, words, at.now))
}

#[cfg(test)]
mod tests {
    use dispatch_osb::client::{Doubt, Refusal, RefusalCode};
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn at(second: i64) -> Circumstances {
        let now = Timestamp::from_second(second).unwrap();
        Circumstances { now, random: 0, polling_seconds_max: None, maybe_sent: false }
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
        let busy = Outcome::Busy {
            refusal: refusal(422, Some(RefusalCode::ConcurrencyError)),
            retry_after: None,
        };
        check(busy, false, (Absent, true, false, false));
        check(Outcome::Unauthorized(refusal(401, None)), false, (Absent, true, false, false));
        check(Outcome::Unclear(doubt()), false, (Absent, false, false, true));
        check(Outcome::NotSent("refused".to_owned()), false, (Absent, true, false, false));
        check(Outcome::Garbled("html".to_owned()), false, (Absent, true, false, false));
    }

    #[test]
    fn a_second_garbled_answer_is_a_failure_and_is_not_deleted() {
        let before = Status { retry: Retry { tries: 1, ..Retry::default() }, ..Status::default() };
        let answer = Answer::Provisioned(Outcome::Garbled("html".to_owned()));
        let found = absorb(&before, &flight(Verb::Provision), answer, at(10));
        assert_eq!(seen(&found), (Presence::Unknown, false, true, false));
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
