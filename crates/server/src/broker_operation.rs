//! Rules about requests to brokers that hold for instances, bindings and orphans alike. Pure.

pub mod resent;

use std::time::Duration;

use dispatch_engine::Backoff;
use dispatch_model::broker_operation::{
    Accepted, Failure, InFlight, LastOperation, OperationState, Retry, Verb,
};
use dispatch_osb::client::{Doubt, Outcome, Polled};
use jiff::Timestamp;

use crate::time;

/// After this a wish that could not be fulfilled is given up (decision 23).
pub const CREATE_GIVES_UP: Duration = Duration::from_secs(24 * 3_600);
/// The longest that an operation may take, unless the plan says less.
const OPERATION_MAX: Duration = Duration::from_secs(24 * 3_600);
/// A longer Retry-After is not believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// For so long a broker may still be at work on a request whose answer we never saw: our time-out once more.
pub const LATE_WORK: Duration = Duration::from_secs(60);
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
    /// An earlier try may have reached the broker, and nobody saw its answer. A conflict can be our own doing then,
    /// and a refusal does not mean that nothing is there.
    pub maybe_sent: bool,
    /// The object's generation when the broker was asked.
    pub generation: u64,
    /// Until then "it does not exist" is not the end: the broker may still be at work on a request that was lost.
    pub late_until: Option<Timestamp>,
}

/// An attempt that is given up and may have left something at the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abandoned {
    pub cause: String,
    /// Nobody saw an answer, so that the broker may still be at work on it.
    pub unanswered: bool,
}

impl Abandoned {
    /// Given up although the broker has answered.
    pub const fn answered(cause: String) -> Self {
        Self { cause, unanswered: false }
    }

    pub const fn unanswered(cause: String) -> Self {
        Self { cause, unanswered: true }
    }

    /// What stands in front of a broker answers for it when it takes too long.
    pub fn of(doubt: Doubt) -> Self {
        let unanswered = matches!(doubt.status, None | Some(502..=504));
        Self { cause: doubt.description, unanswered }
    }
}

/// The broker did nothing, and said so; or it was not reached.
pub const fn is_without_effect<A>(outcome: &Outcome<A>) -> bool {
    matches!(outcome, Outcome::Busy { .. } | Outcome::Unauthorized(_) | Outcome::NotSent(_))
}

/// The parts that the statuses of instances and bindings have in common.
#[derive(Debug)]
pub struct Operation<'a> {
    pub in_flight: &'a mut Option<InFlight>,
    pub retry: &'a mut Retry,
    pub wished: &'a mut Option<Timestamp>,
    pub failure: &'a mut Option<Failure>,
    pub last: &'a mut Option<LastOperation>,
}

impl Operation<'_> {
    /// The broker works on it.
    pub fn under_way(
        &mut self,
        flight: &InFlight,
        accepted: Accepted,
        description: Option<String>,
        at: Circumstances,
    ) {
        // A broker that says nothing this time has not taken back what it said before.
        let before = self.last.as_ref().filter(|last| last.verb == flight.verb);
        let words = description.or_else(|| before.map(|last| last.description.clone()));
        self.say(flight, OperationState::InProgress, words.unwrap_or_default(), at);
        if !flight.verb.is_removal() {
            *self.retry = Retry::default();
        } // a removal that fails again and again is repeated ever more slowly
        *self.in_flight = Some(InFlight { accepted: Some(accepted), ..flight.clone() });
    }

    /// The broker works on it, and we could not ask how far it is.
    pub fn unasked(
        &mut self,
        flight: &InFlight,
        before: &Accepted,
        words: String,
        at: Circumstances,
    ) {
        *self.retry = failed_try(self.retry, flight.verb, words, None, at);
        let poll_at = self.retry.not_before.unwrap_or(at.now);
        let accepted = Some(Accepted { poll_at, ..before.clone() });
        *self.in_flight = Some(InFlight { accepted, ..flight.clone() });
    }

    /// The same request again, later.
    pub fn again(
        &mut self,
        flight: &InFlight,
        words: String,
        retry_after: Option<Duration>,
        at: Circumstances,
    ) {
        // Whoever repeats the wish begins anew: the pauses grow from the shortest on.
        let repeated = flight.generation != at.generation;
        let before = if repeated { Retry::default() } else { self.retry.clone() };
        *self.retry = failed_try(&before, flight.verb, words, retry_after, at);
        self.send_again(flight, at);
    }

    /// The same request again at that moment. Nothing failed.
    pub fn later(&mut self, flight: &InFlight, words: String, until: Timestamp, at: Circumstances) {
        *self.retry = later(self.retry, words, until);
        self.send_again(flight, at);
    }

    fn send_again(&mut self, flight: &InFlight, at: Circumstances) {
        let generation = at.generation;
        *self.in_flight = Some(InFlight { accepted: None, generation, ..flight.clone() });
    }

    /// Another attempt, later.
    pub fn anew(&mut self, flight: &InFlight, words: String, at: Circumstances) {
        *self.retry = failed_try(self.retry, flight.verb, words, None, at);
        *self.in_flight = None;
    }

    pub fn succeeded(&mut self, flight: &InFlight, words: String, at: Circumstances) {
        self.say(flight, OperationState::Succeeded, words, at);
        self.end(None);
    }

    /// The end, until somebody changes or repeats the wish.
    pub fn failed(&mut self, flight: &InFlight, words: String, at: Circumstances) {
        self.say(flight, OperationState::Failed, words.clone(), at);
        self.end(Some(Failure { generation: flight.generation, message: words }));
    }

    /// Creating has been tried for long enough.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.wished.is_some_and(|begun| time::since(begun, now) >= CREATE_GIVES_UP)
    }

    fn end(&mut self, failure: Option<Failure>) {
        *self.in_flight = None;
        *self.retry = Retry::default();
        *self.wished = None;
        *self.failure = failure;
    }

    /// `lastOperation`, keeping its time while the state stays the same.
    fn say(&mut self, flight: &InFlight, state: OperationState, words: String, at: Circumstances) {
        let verb = if flight.verb == Verb::Fetch { Verb::Bind } else { flight.verb };
        let of_it = self.last.as_ref().filter(|last| last.verb == verb);
        let since = of_it.filter(|last| last.state == state).map_or(at.now, |last| last.since);
        // Credentials that are fetched belong to the bind that was under way before.
        let under_way = of_it.filter(|last| last.state == OperationState::InProgress);
        let begun = under_way.map_or(flight.begun, |last| last.since.min(flight.begun));
        let is_over = state != OperationState::InProgress;
        let took_ms = is_over.then(|| time::since(begun, at.now).as_millis());
        let took_ms = took_ms.and_then(|ms| u64::try_from(ms).ok());
        *self.last = Some(LastOperation { verb, state, description: words, since, took_ms });
    }
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

/// One more try at that moment, which is no failure of the one before.
pub fn later(retry: &Retry, words: String, until: Timestamp) -> Retry {
    Retry { tries: retry.tries, not_before: Some(until), last_error: Some(words) }
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
    /// It is not there, but may still come. Send it again at that moment.
    Late { words: String, until: Timestamp },
    /// The broker will not, and says why.
    Refused(String),
}

/// Table A0.4.
pub fn removal(outcome: Outcome<()>, at: Circumstances) -> Removal {
    let again = |words, retry_after| Removal::Again { words, retry_after };
    match outcome {
        Outcome::Gone => match at.late_until.filter(|until| at.now < *until) {
            None => Removal::Gone,
            Some(until) => {
                let words = "the broker does not know it, and may still be making it".to_owned();
                Removal::Late { words, until }
            }
        },
        Outcome::Done(()) => Removal::Gone,
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
mod tests;
