//! What an answer of the broker teaches us about a binding, by the tables A0.2, A0.4, A0.5 and A0.6. Pure.

use std::time::Duration;

use dispatch_model::{
    broker_operation::{Accepted, Failure, InFlight, LastOperation, OperationState, Retry, Verb},
    service_binding::{Predecessor, Status},
};
use dispatch_osb::{
    client::{Fetched, Outcome, Polled},
    types::BindingDocument,
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
    Bound(Outcome<BindingDocument>),
    Fetched(Fetched<BindingDocument>),
    Unbound(Outcome<()>),
    Polled(Polled),
    /// It could not even be asked: a fragment that says why.
    NotAsked(String),
}

/// What follows from it.
#[derive(Debug)]
pub(super) struct Absorbed {
    pub(super) status: Status,
    /// Credentials to be put into use, in the same write as the status.
    pub(super) document: Option<Box<BindingDocument>>,
    /// The id is given up and may exist at the broker; why.
    pub(super) orphan: Option<String>,
}

impl Absorbed {
    const fn of(status: Status) -> Self {
        Self { status, document: None, orphan: None }
    }
}

pub(super) fn absorb(
    status: &Status,
    flight: &InFlight,
    answer: Answer,
    at: Circumstances,
) -> Absorbed {
    let status = status.clone();
    match answer {
        Answer::NotAsked(words) => not_asked(status, flight, words, at),
        Answer::Bound(outcome) => bound(status, flight, outcome, at),
        Answer::Fetched(fetched) => self::fetched(status, flight, fetched, at),
        Answer::Unbound(outcome) => removed(status, flight, removal(outcome, at), at),
        Answer::Polled(polled) => match &flight.accepted {
            None => Absorbed::of(status),
            Some(before) if flight.verb == Verb::Unbind => {
                removed(status, flight, removal_polled(polled, before, at), at)
            }
            Some(before) => made(status, flight, making_polled(polled, before, at), at),
        },
    }
}

/// Table A0.2.
fn bound(
    mut status: Status,
    flight: &InFlight,
    outcome: Outcome<BindingDocument>,
    at: Circumstances,
) -> Absorbed {
    match outcome {
        // The broker gives credentials once, and an earlier try of ours got them: they are lost. Bind anew.
        Outcome::Done(document) if document.credentials.is_none() && at.maybe_sent => {
            abandon(status, flight, "the broker did not repeat the credentials".to_owned(), at)
        }
        Outcome::Done(document) => ready(status, flight, document, at),
        Outcome::Accepted { operation, retry_after, .. } => {
            status.retry = Retry::default();
            let accepted = accepted(operation, retry_after, at);
            under_way(status, flight, accepted, None, at)
        }
        Outcome::Rejected(refusal) if refusal.status == 409 && at.maybe_sent => {
            abandon(status, flight, refusal.description, at)
        }
        Outcome::Rejected(refusal) => {
            status.attempt = None;
            Absorbed::of(failed(status, flight, refusal.description, at))
        }
        Outcome::Busy { refusal, retry_after } => {
            again(status, flight, refusal.description, retry_after, at)
        }
        Outcome::Unauthorized(refusal) => again(status, flight, refusal.description, None, at),
        Outcome::NotSent(words) => again(status, flight, words, None, at),
        Outcome::Unclear(doubt) => abandon(status, flight, doubt.description, at),
        Outcome::Garbled(words) if status.retry.tries == 0 => {
            again(status, flight, words, None, at)
        }
        Outcome::Garbled(words) => abandon(status, flight, words, at),
        Outcome::Gone => abandon(status, flight, "the broker answered 410".to_owned(), at),
    }
}

/// Table A0.6: a fetch that fails says nothing about the binding.
fn fetched(
    status: Status,
    flight: &InFlight,
    fetched: Fetched<BindingDocument>,
    at: Circumstances,
) -> Absorbed {
    match fetched {
        Fetched::Found(document) if document.credentials.is_none() && at.maybe_sent => {
            abandon(status, flight, "the broker did not repeat the credentials".to_owned(), at)
        }
        Fetched::Found(document) => ready(status, flight, document, at),
        Fetched::Absent | Fetched::Busy | Fetched::Failed(_) if is_over(&status, at) => {
            abandon(status, flight, "the credentials could not be fetched".to_owned(), at)
        }
        Fetched::Absent => {
            again(status, flight, "the broker does not show the binding yet".to_owned(), None, at)
        }
        Fetched::Busy => again(status, flight, "the broker is busy".to_owned(), None, at),
        Fetched::Failed(words) => again(status, flight, words, None, at),
    }
}

/// The create column of table A0.5. What was made asynchronously has its credentials fetched (OSB-110).
fn made(mut status: Status, flight: &InFlight, making: Making, at: Circumstances) -> Absorbed {
    match making {
        Making::Made { .. } => {
            status.retry = Retry::default();
            status.in_flight =
                Some(InFlight { verb: Verb::Fetch, accepted: None, ..flight.clone() });
            Absorbed::of(status)
        }
        Making::UnderWay { accepted, description } => {
            under_way(status, flight, accepted, description, at)
        }
        Making::Failed(words) => {
            let mut status = failed(status, flight, words.clone(), at);
            status.attempt = None;
            Absorbed { status, document: None, orphan: Some(words) }
        }
    }
}

/// Table A0.4 and the delete column of A0.5.
fn removed(mut status: Status, flight: &InFlight, removal: Removal, at: Circumstances) -> Absorbed {
    let is_predecessor =
        status.predecessor.as_ref().is_some_and(|old| old.broker_binding_id == flight.target);
    match removal {
        Removal::Gone => {
            status.forget(flight.target);
            status.in_flight = None;
            status.retry = Retry::default();
            status.failure = None;
            status.last_operation =
                said(&status, flight, OperationState::Succeeded, String::new(), at);
            Absorbed::of(status)
        }
        Removal::UnderWay { accepted, description } => {
            status.retry = Retry::default();
            under_way(status, flight, accepted, description, at)
        }
        Removal::Again { words, retry_after } => again(status, flight, words, retry_after, at),
        // The rotation is over for everybody here; what the broker keeps is cleaned up by itself.
        Removal::Refused(words) if is_predecessor => {
            status.forget(flight.target);
            status.in_flight = None;
            status.retry = Retry::default();
            Absorbed { status, document: None, orphan: Some(words) }
        }
        Removal::Refused(words) => Absorbed::of(failed(status, flight, words, at)),
    }
}

fn ready(
    mut status: Status,
    flight: &InFlight,
    document: BindingDocument,
    at: Circumstances,
) -> Absorbed {
    // What was in use becomes the predecessor; `credentials` itself is set where the secret is written.
    if let Some(old) = &status.credentials {
        status.predecessor =
            Some(Predecessor { broker_binding_id: old.broker_binding_id, version: old.version });
    }
    status.attempt = None;
    status.rotated = status.rotating;
    status.in_flight = None;
    status.retry = Retry::default();
    status.failure = None;
    status.wished = None;
    status.last_operation = said(&status, flight, OperationState::Succeeded, String::new(), at);
    Absorbed { status, document: Some(Box::new(document)), orphan: None }
}

fn under_way(
    mut status: Status,
    flight: &InFlight,
    accepted: Accepted,
    description: Option<String>,
    at: Circumstances,
) -> Absorbed {
    let before = status.last_operation.as_ref().filter(|last| last.verb == flight.verb);
    let words = description.or_else(|| before.map(|last| last.description.clone()));
    let words = words.unwrap_or_default();
    status.last_operation = said(&status, flight, OperationState::InProgress, words, at);
    status.in_flight = Some(InFlight { accepted: Some(accepted), ..flight.clone() });
    Absorbed::of(status)
}

fn not_asked(mut status: Status, flight: &InFlight, words: String, at: Circumstances) -> Absorbed {
    let Some(before) = &flight.accepted else {
        let mut absorbed = again(status, flight, words, None, at);
        if flight.verb == Verb::Bind && flight.body.is_none() {
            // Nothing was prepared either: the next try begins anew.
            absorbed.status.in_flight = None;
            absorbed.status.attempt = None;
        }
        return absorbed;
    };
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
    retry_after: Option<Duration>,
    at: Circumstances,
) -> Absorbed {
    if !flight.verb.is_removal() && is_over(&status, at) {
        status.attempt = None;
        return Absorbed::of(failed(status, flight, words, at));
    }
    status.retry = failed_try(&status.retry, flight.verb, words, retry_after, at);
    status.in_flight = Some(InFlight { accepted: None, ..flight.clone() });
    Absorbed::of(status)
}

/// Something may exist under this id: leave it to be removed, and try again under a new one.
fn abandon(mut status: Status, flight: &InFlight, words: String, at: Circumstances) -> Absorbed {
    status = if is_over(&status, at) {
        failed(status, flight, words.clone(), at)
    } else {
        let retry = failed_try(&status.retry, flight.verb, words.clone(), None, at);
        Status { retry, in_flight: None, ..status }
    };
    status.attempt = None;
    Absorbed { status, document: None, orphan: Some(words) }
}

fn failed(mut status: Status, flight: &InFlight, words: String, at: Circumstances) -> Status {
    status.in_flight = None;
    status.retry = Retry::default();
    status.wished = None;
    status.failure = Some(Failure { generation: flight.generation, message: words.clone() });
    status.last_operation = said(&status, flight, OperationState::Failed, words, at);
    status
}

fn is_over(status: &Status, at: Circumstances) -> bool {
    status.wished.is_some_and(|begun| time::since(begun, at.now) >= CREATE_GIVES_UP)
}

fn said(
    status: &Status,
    flight: &InFlight,
    state: OperationState,
    words: String,
    at: Circumstances,
) -> Option<LastOperation> {
    let verb = if flight.verb == Verb::Fetch { Verb::Bind } else { flight.verb };
    Some(last_operation(status.last_operation.as_ref(), verb, state, words, at.now))
}

#[cfg(test)]
mod tests {
    use dispatch_osb::client::{Doubt, Refusal};
    use jiff::Timestamp;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::testing::objects;

    const TARGET: Uuid = Uuid::from_u128(7);

    fn at(second: i64, maybe_sent: bool) -> Circumstances {
        let now = Timestamp::from_second(second).unwrap();
        Circumstances { now, random: 0, polling_seconds_max: None, maybe_sent }
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
        check(Outcome::Unclear(doubt), false, (false, false, false, true));
        check(Outcome::NotSent("x".to_owned()), false, (false, true, false, false));
        check(Outcome::Garbled("x".to_owned()), false, (false, true, false, false));
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
}
