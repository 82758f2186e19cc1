//! The next step for an instance. Pure: no clock, no store, no broker.

use dispatch_model::{
    Object,
    broker_operation::{InFlight, Presence, Verb},
    service_instance::{ServiceInstance, Status},
};
use jiff::Timestamp;

use crate::broker_operation::due;

/// All that the decision depends on besides the instance itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Bindings of it that nobody has asked to delete.
    pub(super) bindings: usize,
    /// Bindings on their way out, and abandoned ones that are still to be removed at the broker.
    pub(super) leaving: usize,
    /// Those of them that the broker has refused to unbind.
    pub(super) refused: usize,
    /// What is in flight has certainly had no effect.
    pub(super) unsent: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Save the intention, with every id and byte that it will use. No effect.
    Begin(Verb),
    /// Send what was intended.
    Call,
    /// Ask how far the broker is.
    Poll,
    /// Ask for its bindings to go first.
    RemoveBindings,
    /// Say that its bindings are in the way.
    Blocked,
    /// Say what it is that the bindings, and abandoned ones, are still there for.
    AwaitOthers,
    /// Nothing is left anywhere: drop the object.
    Forget,
    WaitUntil(Timestamp),
    /// Somebody else wakes us.
    Rest,
}

pub(super) fn plan(instance: &Object<ServiceInstance>, seen: Seen, now: Timestamp) -> Step {
    let status = &instance.status;
    let failed = status
        .failure
        .as_ref()
        .is_some_and(|failure| failure.generation == instance.meta.generation);
    match (&status.in_flight, instance.meta.deleting.is_some()) {
        (Some(flight), false) => go_on(instance, flight, now),
        (None, false) if failed => Step::Rest,
        (None, false) => match status.presence {
            Presence::Present => Step::Rest,
            Presence::Absent | Presence::Unknown => {
                let asked_again = status.observed_generation != instance.meta.generation;
                match status.retry.not_before {
                    Some(at) if at > now && !asked_again => Step::WaitUntil(at),
                    _ => Step::Begin(Verb::Provision),
                }
            }
        },
        (None, true) if failed && (seen.refused > 0 || was_refused(status)) => Step::Rest,
        (flight, true) => leave(instance, flight.as_ref(), seen, now),
    }
}

/// The broker itself said no to removing the instance.
fn was_refused(status: &Status) -> bool {
    status.last_operation.as_ref().is_some_and(|last| last.verb == Verb::Deprovision)
}

fn go_on(instance: &Object<ServiceInstance>, flight: &InFlight, now: Timestamp) -> Step {
    let asked_again = flight.accepted.is_none() && flight.generation != instance.meta.generation;
    match due(flight, &instance.status.retry) {
        Some(at) if at > now && !asked_again => Step::WaitUntil(at),
        _ if flight.accepted.is_some() => Step::Poll,
        _ => Step::Call,
    }
}

fn leave(
    instance: &Object<ServiceInstance>,
    flight: Option<&InFlight>,
    seen: Seen,
    now: Timestamp,
) -> Step {
    match flight {
        // What the broker is still making cannot be removed: see it through first.
        Some(flight) if flight.verb == Verb::Provision && flight.accepted.is_some() => {
            go_on(instance, flight, now)
        }
        Some(flight) if flight.verb == Verb::Deprovision => go_on(instance, flight, now),
        _ if seen.bindings > 0 => Step::RemoveBindings,
        _ if seen.leaving > 0 && seen.leaving == seen.refused => Step::Blocked,
        _ if seen.leaving > 0 => Step::AwaitOthers,
        Some(_) if seen.unsent && instance.status.presence == Presence::Absent => Step::Forget,
        // It may have been sent, whatever we know of it.
        Some(_) => Step::Begin(Verb::Deprovision),
        None if instance.status.presence == Presence::Absent => Step::Forget,
        None => Step::Begin(Verb::Deprovision),
    }
}

#[cfg(test)]
mod tests {
    use dispatch_model::broker_operation::{
        Accepted, Failure, LastOperation, OperationState, Retry,
    };
    use uuid::Uuid;

    use super::*;
    use crate::testing::objects;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn flight(verb: Verb, polled_at: Option<i64>) -> Option<InFlight> {
        Some(InFlight {
            verb,
            id: Uuid::nil(),
            generation: 1,
            begun: at(0),
            body: None,
            target: Uuid::nil(),
            accepted: polled_at.map(|poll| Accepted {
                operation: None,
                since: at(0),
                deadline: at(86_400),
                poll_at: at(poll),
                not_found: 0,
            }),
        })
    }

    fn check(
        change: impl FnOnce(&mut Object<ServiceInstance>),
        seen: (usize, usize),
        expect: Step,
    ) {
        let mut instance = objects::instance();
        change(&mut instance);
        let seen = Seen { bindings: seen.0, leaving: seen.1, ..Seen::default() };
        assert_eq!(plan(&instance, seen, at(100)), expect, "{:?}", instance.status);
    }

    #[test]
    fn an_instance_is_intended_sent_polled_and_then_left_alone() {
        check(|_| {}, (0, 0), Step::Begin(Verb::Provision));
        check(|i| i.status.in_flight = flight(Verb::Provision, None), (0, 0), Step::Call);
        check(
            |i| i.status.in_flight = flight(Verb::Provision, Some(101)),
            (0, 0),
            Step::WaitUntil(at(101)),
        );
        check(|i| i.status.in_flight = flight(Verb::Provision, Some(100)), (0, 0), Step::Poll);
        check(|i| i.status.presence = Presence::Present, (1, 0), Step::Rest);
    }

    #[test]
    fn a_failed_try_waits_for_its_time_and_a_failure_waits_for_somebody() {
        let retry = Retry { tries: 1, not_before: Some(at(130)), last_error: None };
        let waiting = retry.clone();
        check(
            |i| {
                i.status.retry = waiting.clone();
                i.status.observed_generation = 1;
            },
            (0, 0),
            Step::WaitUntil(at(130)),
        );
        let again = |i: &mut Object<ServiceInstance>| {
            i.status.retry = waiting.clone();
            i.status.in_flight = flight(Verb::Provision, None);
            i.meta.generation = 2;
        };
        check(again, (0, 0), Step::Call);
        check(
            |i| {
                i.status.in_flight = flight(Verb::Provision, None);
                i.status.retry = retry;
            },
            (0, 0),
            Step::WaitUntil(at(130)),
        );
        let failure = Failure { generation: 1, message: "quota".to_owned() };
        let same = failure.clone();
        check(|i| i.status.failure = Some(same), (0, 0), Step::Rest);
        check(
            |i| {
                i.status.failure = Some(failure);
                i.meta.generation = 2;
            },
            (0, 0),
            Step::Begin(Verb::Provision),
        );
    }

    #[test]
    fn bindings_go_before_the_instance_and_what_was_never_there_is_forgotten() {
        let check = |change: fn(&mut Object<ServiceInstance>), seen, expect| {
            check(
                |i| {
                    i.meta.deleting = Some(at(50));
                    change(i);
                },
                seen,
                expect,
            );
        };
        check(|_| {}, (0, 0), Step::Forget);
        check(|i| i.status.presence = Presence::Present, (1, 1), Step::RemoveBindings);
        check(|i| i.status.presence = Presence::Present, (0, 1), Step::AwaitOthers);
        check(|i| i.status.presence = Presence::Present, (0, 0), Step::Begin(Verb::Deprovision));
        check(|i| i.status.presence = Presence::Unknown, (0, 0), Step::Begin(Verb::Deprovision));
        check(
            |i| i.status.in_flight = flight(Verb::Provision, None),
            (0, 0),
            Step::Begin(Verb::Deprovision),
        );
        check(|i| i.status.in_flight = flight(Verb::Provision, Some(90)), (0, 0), Step::Poll);
        check(|i| i.status.in_flight = flight(Verb::Deprovision, None), (0, 0), Step::Call);
    }

    #[test]
    fn a_refused_removal_waits_until_it_is_asked_for_again() {
        let refused = |generation| {
            move |i: &mut Object<ServiceInstance>| {
                i.meta.deleting = Some(at(50));
                i.meta.generation = generation;
                i.status.presence = Presence::Present;
                i.status.failure = Some(Failure { generation: 2, message: "no".to_owned() });
                i.status.last_operation = Some(LastOperation {
                    verb: Verb::Deprovision,
                    state: OperationState::Failed,
                    description: "no".to_owned(),
                    since: at(60),
                    took_ms: None,
                });
            }
        };
        check(refused(2), (0, 0), Step::Rest);
        check(refused(3), (0, 0), Step::Begin(Verb::Deprovision));
    }

    #[test]
    fn bindings_that_the_broker_keeps_are_said_to_be_in_the_way_and_then_waited_for() {
        let mut instance = objects::instance();
        instance.meta.deleting = Some(at(50));
        instance.status.presence = Presence::Present;
        let blocked = Seen { leaving: 2, refused: 2, ..Seen::default() };
        let one_more_try = Seen { refused: 1, ..blocked };
        assert_eq!(plan(&instance, blocked, at(100)), Step::Blocked);
        assert_eq!(plan(&instance, one_more_try, at(100)), Step::AwaitOthers);
        instance.status.failure = Some(Failure { generation: 1, message: "no".to_owned() });
        assert_eq!(plan(&instance, blocked, at(100)), Step::Rest);
        assert_eq!(plan(&instance, Seen::default(), at(100)), Step::Begin(Verb::Deprovision));
    }

    #[test]
    fn what_was_never_sent_is_forgotten_without_a_word_to_the_broker() {
        let mut instance = objects::instance();
        instance.meta.deleting = Some(at(50));
        instance.status.in_flight = flight(Verb::Provision, None);
        let unsent = Seen { unsent: true, ..Seen::default() };
        assert_eq!(plan(&instance, unsent, at(100)), Step::Forget);
        instance.status.presence = Presence::Unknown;
        assert_eq!(plan(&instance, unsent, at(100)), Step::Begin(Verb::Deprovision));
    }
}
