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

use jiff::Timestamp;

use crate::broker_operation::{
    Abandoned, Circumstances, Making, Operation, Removal, accepted, is_without_effect,
    making_polled, removal, removal_polled,
    resent::{self, asked_last},
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
    /// It was asked for twice: whatever becomes of it now, it has to be removed once more at this time.
    pub(super) once_more: Option<Timestamp>,
    /// Nothing is there any more: the object can go.
    pub(super) gone: bool,
}

impl Absorbed {
    const fn of(status: Status) -> Self {
        Self { status, orphan: None, once_more: None, gone: false }
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
    use Outcome::{Accepted, Done, Garbled, Unclear};
    if matches!(outcome, Done(_) | Accepted { .. } | Garbled(_) | Unclear(_)) {
        resent::note(&mut status.resent, flight, at);
    }
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
        Removal::Gone => {
            let once_more = resent::take(&mut status.resent, flight.target, asked_last(flight, at));
            return Absorbed { status, orphan: None, once_more, gone: true };
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
                // Nothing was prepared either: the next try begins anew, and not before its time.
                absorbed.status.in_flight = None;
                absorbed.status.observed_generation = at.generation;
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
    Absorbed { orphan: Some(abandoned), ..Absorbed::of(status) }
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
mod tests;
