//! Requests that were sent twice: what is removed of them has to be removed once more, when the first cannot come any
//! more. The object goes all the same, and an orphan stands for it until then. Pure.

use dispatch_model::broker_operation::{InFlight, Resent};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Circumstances, LATE_WORK};
use crate::time;

/// Notes with an answer by which something is there, or may be, whether it was to the second request. What is too old
/// to matter is dropped.
pub fn note(resent: &mut Vec<Resent>, flight: &InFlight, at: Circumstances) {
    resent.retain(|one| one.target != flight.target && over(one) > at.now);
    if at.maybe_sent {
        resent.push(Resent { target: flight.target, at: at.now });
    }
}

/// The same for a request that is replaced by a removal before anybody has seen an answer: it may have been sent as often
/// as the process has ended.
pub fn unanswered(resent: &mut Vec<Resent>, replaced: &InFlight, now: Timestamp) {
    if !replaced.verb.is_removal() && replaced.accepted.is_none() {
        resent.retain(|one| one.target != replaced.target && over(one) > now);
        resent.push(Resent { target: replaced.target, at: now });
    }
}

/// Forgets what is known of an id whose removal was begun then; when it has to be removed once more, if ever. After a
/// removal that was begun late enough nothing can come.
pub fn take(resent: &mut Vec<Resent>, target: Uuid, begun: Timestamp) -> Option<Timestamp> {
    let until = resent.iter().filter(|one| one.target == target).map(over).max();
    resent.retain(|one| one.target != target);
    until.filter(|until| begun < *until)
}

/// When a removal was last begun, as far as it is known: what may still come is waited for, and then asked for again.
pub fn asked_last(removal: &InFlight, at: Circumstances) -> Timestamp {
    at.late_until.filter(|until| at.now >= *until).unwrap_or(removal.begun)
}

fn over(resent: &Resent) -> Timestamp {
    time::after(resent.at, LATE_WORK)
}

#[cfg(test)]
mod tests {
    use dispatch_model::broker_operation::Verb;

    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const TWO: Uuid = Uuid::from_u128(2);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn flight(verb: Verb, target: Uuid, begun: i64) -> InFlight {
        let begun = at(begun);
        let (id, generation, body, accepted) = (Uuid::nil(), 1, None, None);
        InFlight { verb, id, generation, begun, body, target, accepted }
    }

    fn circumstances(second: i64, maybe_sent: bool, late_until: Option<i64>) -> Circumstances {
        Circumstances {
            now: at(second),
            random: 0,
            polling_seconds_max: None,
            maybe_sent,
            generation: 1,
            late_until: late_until.map(at),
        }
    }

    fn noted(resent: &mut Vec<Resent>, target: Uuid, second: i64, maybe_sent: bool) {
        note(resent, &flight(Verb::Bind, target, 0), circumstances(second, maybe_sent, None));
    }

    #[test]
    fn what_was_waited_for_and_asked_for_again_is_not_asked_for_a_third_time() {
        let check = |second, late_until, expect: Option<i64>| {
            let mut resent = Vec::new();
            unanswered(&mut resent, &flight(Verb::Provision, ONE, 0), at(100));
            unanswered(&mut resent, &flight(Verb::Unbind, TWO, 0), at(100));
            assert_eq!(resent.len(), 1, "a removal makes nothing");
            let removal = flight(Verb::Deprovision, ONE, 100);
            let begun = asked_last(&removal, circumstances(second, true, late_until));
            assert_eq!(take(&mut resent, ONE, begun), expect.map(at));
        };
        check(101, Some(160), Some(160));
        check(160, Some(160), None);
        check(161, None, Some(160));
    }

    #[test]
    fn only_what_was_sent_twice_is_removed_once_more_and_only_if_its_removal_began_too_early() {
        let check = |maybe_sent, begun, expect: Option<i64>| {
            let mut resent = Vec::new();
            noted(&mut resent, ONE, 100, maybe_sent);
            assert_eq!(take(&mut resent, TWO, at(begun)), None, "another id");
            assert_eq!(take(&mut resent, ONE, at(begun)), expect.map(at));
            assert_eq!(resent, [], "an id is removed for good once");
        };
        check(false, 101, None);
        check(true, 101, Some(160));
        check(true, 159, Some(160));
        check(true, 160, None);
    }

    #[test]
    fn what_is_noted_of_other_ids_stays_until_it_does_not_matter_any_more() {
        let mut resent = Vec::new();
        noted(&mut resent, ONE, 100, true);
        noted(&mut resent, TWO, 159, true);
        assert_eq!(resent.len(), 2);
        noted(&mut resent, TWO, 160, true);
        assert_eq!(resent, [Resent { target: TWO, at: at(160) }]);
    }
}
