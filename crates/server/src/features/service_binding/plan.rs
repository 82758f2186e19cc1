//! The next step for a binding. Pure: no clock, no store, no broker.
//!
//! A rotation is the same road again: a successor is bound while the credentials in use stay in use, new calls get the
//! successor's, the workers that were given the old ones end, and only then the old binding is unbound (decision 25).

use dispatch_model::{
    Object,
    broker_operation::{InFlight, Verb},
    service_binding::ServiceBinding,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::broker_operation::due;

/// All that the decision depends on besides the binding itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// The instance exists at the broker and nobody has asked to delete it.
    pub(super) instance_ready: bool,
    /// There is no such instance any more, and so nothing of this binding either.
    pub(super) instance_gone: bool,
    /// No process has the predecessor's credentials in hand any more.
    pub(super) retired: bool,
    /// What is in flight is a binding, and has certainly had no effect.
    pub(super) unsent: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Save the intention to bind.
    Bind,
    /// Save the intention to unbind this id.
    Unbind(Uuid),
    /// Send what was intended.
    Call,
    Poll,
    /// Have every worker that was given the old credentials end.
    Retire,
    Forget,
    WaitUntil(Timestamp),
    /// Somebody else wakes us.
    Rest,
}

pub(super) fn plan(binding: &Object<ServiceBinding>, seen: Seen, now: Timestamp) -> Step {
    if seen.instance_gone {
        return Step::Forget;
    }
    let status = &binding.status;
    let failed = status
        .failure
        .as_ref()
        .is_some_and(|failure| failure.generation == binding.meta.generation);
    match (&status.in_flight, binding.meta.deleting.is_some()) {
        (Some(flight), false) => go_on(binding, flight, now),
        (None, false) => stay(binding, seen, failed, now),
        (None, true) if failed => Step::Rest,
        (flight, true) => leave(binding, flight.as_ref(), seen, now),
    }
}

fn go_on(binding: &Object<ServiceBinding>, flight: &InFlight, now: Timestamp) -> Step {
    let asked_again = flight.accepted.is_none() && flight.generation != binding.meta.generation;
    match due(flight, &binding.status.retry) {
        Some(at) if at > now && !asked_again => Step::WaitUntil(at),
        _ if flight.accepted.is_some() => Step::Poll,
        _ => Step::Call,
    }
}

fn stay(binding: &Object<ServiceBinding>, seen: Seen, failed: bool, now: Timestamp) -> Step {
    let status = &binding.status;
    // Old credentials go even if something else has failed meanwhile.
    if let Some(old) = &status.predecessor {
        return if seen.retired { Step::Unbind(old.broker_binding_id) } else { Step::Retire };
    }
    let wanted = status.credentials.is_none() || status.rotated != binding.spec.rotation;
    if !wanted || failed || !seen.instance_ready {
        return Step::Rest;
    }
    match status.retry.not_before {
        Some(at) if at > now => Step::WaitUntil(at),
        _ => Step::Bind,
    }
}

fn leave(
    binding: &Object<ServiceBinding>,
    flight: Option<&InFlight>,
    seen: Seen,
    now: Timestamp,
) -> Step {
    let status = &binding.status;
    match flight {
        // What the broker is still making cannot be removed: see it through first.
        Some(flight) if flight.verb == Verb::Bind && flight.accepted.is_some() => {
            go_on(binding, flight, now)
        }
        Some(flight) if flight.verb == Verb::Unbind => go_on(binding, flight, now),
        _ => match status.remaining() {
            // Never sent: there is nothing to unbind.
            Some(id) if seen.unsent && status.attempt == Some(id) => Step::Forget,
            Some(id) => Step::Unbind(id),
            None => Step::Forget,
        },
    }
}

#[cfg(test)]
mod tests {
    use dispatch_model::service_binding::{Credentials, Predecessor};

    use super::*;
    use crate::testing::objects;

    const READY: Seen =
        Seen { instance_ready: true, instance_gone: false, retired: false, unsent: false };
    const OLD: Uuid = Uuid::from_u128(1);
    const NEW: Uuid = Uuid::from_u128(2);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn credentials(broker_binding_id: Uuid) -> Option<Credentials> {
        Some(Credentials { broker_binding_id, ..objects::credentials() })
    }

    fn check(change: impl FnOnce(&mut Object<ServiceBinding>), seen: Seen, expect: Step) {
        let mut binding = objects::binding();
        change(&mut binding);
        assert_eq!(plan(&binding, seen, at(100)), expect, "{:?}", binding.status);
    }

    #[test]
    fn a_binding_waits_for_its_instance_and_then_rests() {
        check(|_| {}, Seen { instance_ready: false, ..READY }, Step::Rest);
        check(|_| {}, READY, Step::Bind);
        check(|b| b.status.credentials = credentials(OLD), READY, Step::Rest);
    }

    #[test]
    fn a_rotation_binds_a_successor_retires_the_old_workers_and_only_then_unbinds() {
        let rotating = |b: &mut Object<ServiceBinding>| {
            b.spec.rotation = 1;
            b.status.credentials = credentials(OLD);
        };
        check(rotating, READY, Step::Bind);
        let bound = |b: &mut Object<ServiceBinding>| {
            b.spec.rotation = 1;
            b.status.rotated = 1;
            b.status.credentials = credentials(NEW);
            b.status.predecessor = Some(Predecessor { broker_binding_id: OLD, version: 1 });
        };
        check(bound, READY, Step::Retire);
        check(bound, Seen { retired: true, ..READY }, Step::Unbind(OLD));
    }

    #[test]
    fn everything_that_may_exist_is_unbound_before_the_binding_is_forgotten() {
        let leaving = |b: &mut Object<ServiceBinding>| {
            b.meta.deleting = Some(at(50));
            b.status.credentials = credentials(NEW);
            b.status.predecessor = Some(Predecessor { broker_binding_id: OLD, version: 1 });
        };
        check(leaving, READY, Step::Unbind(OLD));
        check(
            |b| {
                leaving(b);
                b.status.predecessor = None;
            },
            READY,
            Step::Unbind(NEW),
        );
        check(
            |b| {
                b.meta.deleting = Some(at(50));
                b.status.attempt = Some(NEW);
            },
            READY,
            Step::Unbind(NEW),
        );
        let attempted = |b: &mut Object<ServiceBinding>| {
            b.meta.deleting = Some(at(50));
            b.status.attempt = Some(NEW);
        };
        check(attempted, Seen { unsent: true, ..READY }, Step::Forget);
        check(attempted, Seen { instance_gone: true, ..READY }, Step::Forget);
        check(|b| b.meta.deleting = Some(at(50)), READY, Step::Forget);
    }
}
