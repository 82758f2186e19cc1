//! What an answer of the broker teaches us about a binding, by the tables A0.2, A0.4, A0.5 and A0.6. Pure.

use std::time::Duration;

use dispatch_model::{
    broker_operation::{InFlight, Verb},
    service_binding::{Predecessor, Status},
};
use dispatch_osb::{
    client::{Fetched, Outcome, Polled},
    types::BindingDocument,
};

use jiff::Timestamp;

use crate::broker_operation::{
    Abandoned, Circumstances, Making, Operation, Removal, accepted, is_without_effect,
    making_polled, removal, removal_polled,
    resent::{self, asked_last},
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

impl Answer {
    /// Nothing can have come of the request. A fetch that is lost may have used up the credentials.
    pub(super) const fn is_without_effect(&self) -> bool {
        match self {
            Self::NotAsked(_) | Self::Fetched(Fetched::Absent | Fetched::Busy) => true,
            Self::Bound(outcome) => is_without_effect(outcome),
            Self::Fetched(_) | Self::Unbound(_) | Self::Polled(_) => false,
        }
    }
}

/// What follows from it.
#[derive(Debug)]
pub(super) struct Absorbed {
    pub(super) status: Status,
    /// Credentials to be put into use, in the same write as the status.
    pub(super) document: Option<Box<BindingDocument>>,
    /// What is given up and has to be removed at the broker.
    pub(super) orphan: Option<Abandoned>,
    /// It was asked for twice: whatever becomes of it now, it has to be removed once more at this time.
    pub(super) once_more: Option<Timestamp>,
}

impl Absorbed {
    const fn of(status: Status) -> Self {
        Self { status, document: None, orphan: None, once_more: None }
    }
}

pub(super) fn absorb(
    status: &Status,
    flight: &InFlight,
    answer: Answer,
    at: Circumstances,
) -> Absorbed {
    let mut absorbed = learn(status.clone(), flight, answer, at);
    if absorbed.orphan.is_some() {
        absorbed.once_more = resent::take(&mut absorbed.status.resent, flight.target, at.now);
    }
    absorbed
}

fn learn(status: Status, flight: &InFlight, answer: Answer, at: Circumstances) -> Absorbed {
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

/// The broker gives credentials once, and an earlier try of ours got them: they are lost. Bind anew.
const NOT_REPEATED: &str = "the broker did not repeat the credentials";

/// Table A0.2.
fn bound(
    mut status: Status,
    flight: &InFlight,
    outcome: Outcome<BindingDocument>,
    at: Circumstances,
) -> Absorbed {
    use Outcome::{Accepted, Done, Garbled, Unclear};
    if matches!(outcome, Done(_) | Accepted { .. } | Garbled(_) | Unclear(_)) {
        resent::note(&mut status.resent, flight, at);
    }
    match outcome {
        Outcome::Done(document) if document.credentials.is_none() && at.maybe_sent => {
            abandon(status, flight, Abandoned::answered(NOT_REPEATED.to_owned()), at)
        }
        Outcome::Done(document) => ready(status, flight, document, at),
        Outcome::Accepted { operation, retry_after, .. } => {
            operate(&mut status, |on| {
                on.under_way(flight, accepted(operation, retry_after, at), None, at);
            });
            Absorbed::of(status)
        }
        // Our own earlier try may have made it, with an answer that we never saw.
        Outcome::Rejected(refusal) if refusal.status == 409 && at.maybe_sent => {
            abandon(status, flight, Abandoned::answered(refusal.description), at)
        }
        Outcome::Rejected(refusal) => end(status, flight, refusal.description, at),
        Outcome::Busy { refusal, retry_after } => {
            again(status, flight, refusal.description, retry_after, at)
        }
        Outcome::Unauthorized(refusal) => again(status, flight, refusal.description, None, at),
        Outcome::NotSent(words) => again(status, flight, words, None, at),
        Outcome::Unclear(doubt) => abandon(status, flight, Abandoned::of(doubt), at),
        // It is made, but what was answered is lost. Nobody else uses this id, so that after asking once more it can
        // be given up.
        Outcome::Garbled(words) if at.maybe_sent => {
            abandon(status, flight, Abandoned::answered(words), at)
        }
        Outcome::Garbled(words) => again(status, flight, words, None, at),
        Outcome::Gone => {
            let cause = "the broker answered 410".to_owned();
            abandon(status, flight, Abandoned::answered(cause), at)
        }
    }
}

/// Table A0.6: a fetch that fails says nothing about the binding.
fn fetched(
    mut status: Status,
    flight: &InFlight,
    fetched: Fetched<BindingDocument>,
    at: Circumstances,
) -> Absorbed {
    let words = match fetched {
        Fetched::Found(document) if document.credentials.is_none() && at.maybe_sent => {
            return abandon(status, flight, Abandoned::answered(NOT_REPEATED.to_owned()), at);
        }
        Fetched::Found(document) => return ready(status, flight, document, at),
        Fetched::Absent => "the broker does not show the binding yet".to_owned(),
        Fetched::Busy => "the broker is busy".to_owned(),
        Fetched::Failed(words) => words,
    };
    if operate(&mut status, |on| on.is_over(at.now)) {
        return abandon(status, flight, Abandoned::answered(words), at);
    }
    again(status, flight, words, None, at)
}

/// The create column of table A0.5. What was made asynchronously has its credentials fetched (OSB-110).
fn made(mut status: Status, flight: &InFlight, making: Making, at: Circumstances) -> Absorbed {
    match making {
        Making::Made { .. } => {
            status.retry = Default::default();
            status.in_flight =
                Some(InFlight { verb: Verb::Fetch, accepted: None, ..flight.clone() });
            Absorbed::of(status)
        }
        Making::UnderWay { accepted, description } => {
            operate(&mut status, |on| on.under_way(flight, accepted, description, at));
            Absorbed::of(status)
        }
        Making::Failed(words) => {
            operate(&mut status, |on| on.failed(flight, words.clone(), at));
            give_up(status, Abandoned::answered(words))
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
            operate(&mut status, |on| on.succeeded(flight, String::new(), at));
            let once_more = resent::take(&mut status.resent, flight.target, asked_last(flight, at));
            return Absorbed { once_more, ..Absorbed::of(status) };
        }
        Removal::UnderWay { accepted, description } => {
            operate(&mut status, |on| on.under_way(flight, accepted, description, at));
        }
        Removal::Again { words, retry_after } => {
            operate(&mut status, |on| on.again(flight, words, retry_after, at));
        }
        Removal::Late { words, until } => {
            operate(&mut status, |on| on.later(flight, words, until, at));
        }
        // The rotation is over for everybody here; what the broker keeps is cleaned up by itself.
        Removal::Refused(words) if is_predecessor => {
            status.forget(flight.target);
            status.in_flight = None;
            status.retry = Default::default();
            let orphan = Some(Abandoned::answered(words));
            return Absorbed { orphan, ..Absorbed::of(status) };
        }
        Removal::Refused(words) => {
            let words = format!("{words}; delete again or purge");
            operate(&mut status, |on| on.failed(flight, words, at));
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
        None => {
            let mut absorbed = again(status, flight, words, None, at);
            if flight.verb == Verb::Bind && flight.body.is_none() {
                // Nothing was prepared either: the next try begins anew.
                absorbed.status.in_flight = None;
            }
            absorbed
        }
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
    operate(&mut status, |on| on.succeeded(flight, String::new(), at));
    Absorbed { document: Some(Box::new(document)), ..Absorbed::of(status) }
}

/// The same request again, later; for a creation that has been tried for long enough: the end.
fn again(
    mut status: Status,
    flight: &InFlight,
    words: String,
    retry_after: Option<Duration>,
    at: Circumstances,
) -> Absorbed {
    if !flight.verb.is_removal() && operate(&mut status, |on| on.is_over(at.now)) {
        return end(status, flight, words, at);
    }
    operate(&mut status, |on| on.again(flight, words, retry_after, at));
    Absorbed::of(status)
}

/// Binding ends with an error. What an earlier try may have made goes to the orphans.
fn end(mut status: Status, flight: &InFlight, words: String, at: Circumstances) -> Absorbed {
    operate(&mut status, |on| on.failed(flight, words.clone(), at));
    if at.maybe_sent {
        return give_up(status, Abandoned::unanswered(words));
    }
    status.attempt = None;
    Absorbed::of(status)
}

/// Something may exist under this id: leave it to be removed, and try again under a new one.
fn abandon(
    mut status: Status,
    flight: &InFlight,
    abandoned: Abandoned,
    at: Circumstances,
) -> Absorbed {
    let words = abandoned.cause.clone();
    operate(&mut status, |on| match on.is_over(at.now) {
        true => on.failed(flight, words, at),
        false => on.anew(flight, words, at),
    });
    give_up(status, abandoned)
}

fn give_up(mut status: Status, abandoned: Abandoned) -> Absorbed {
    status.attempt = None;
    Absorbed { orphan: Some(abandoned), ..Absorbed::of(status) }
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
mod tests;
