//! The next step for a broker. Pure: no clock, no store, no broker.

use dispatch_model::{Object, service_broker::ServiceBroker};
use jiff::Timestamp;

/// All that the decision depends on besides the broker itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Instances of this broker that are not being deleted.
    pub(super) living: usize,
    /// Instances that are.
    pub(super) leaving: usize,
    /// Attempts that are still to be cleaned up at the broker.
    pub(super) orphans: usize,
    /// Its process, which the server runs itself, has come up or gone down since the catalogue was read.
    pub(super) process_changed: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read the catalogue.
    Fetch,
    /// Ask for all its instances to be deleted.
    DeleteInstances,
    /// Say what it is that instances, and abandoned ones, are still there for.
    AwaitOthers,
    /// Nothing is left anywhere: drop the object.
    Forget,
    /// Look again at this time.
    WaitUntil(Timestamp),
}

pub(super) fn plan(broker: &Object<ServiceBroker>, seen: Seen, now: Timestamp) -> Step {
    if broker.meta.deleting.is_some() {
        return match seen {
            Seen { living: 1.., .. } if broker.spec.cascade => Step::DeleteInstances,
            Seen { living: 0, leaving: 0, orphans: 0, .. } => Step::Forget,
            _ => Step::AwaitOthers,
        };
    }
    if seen.process_changed {
        return Step::Fetch;
    }
    let status = &broker.status;
    if let Some(not_before) = status.retry.not_before.filter(|at| *at > now) {
        let asked_again = status.observed_generation != broker.meta.generation;
        if !asked_again {
            return Step::WaitUntil(not_before);
        }
    }
    if status.observed_generation != broker.meta.generation || status.retry.tries > 0 {
        return Step::Fetch;
    }
    match &status.catalog {
        Some(catalog) if catalog.refresh_at > now => Step::WaitUntil(catalog.refresh_at),
        _ => Step::Fetch,
    }
}

#[cfg(test)]
mod tests {
    use dispatch_model::{
        Id, Tags,
        broker_operation::Retry,
        object::Meta,
        service_broker::{Authentication, CatalogRef, Profile, Selection, Spec, Status, Tls},
    };
    use uuid::Uuid;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn broker(status: Status) -> Object<ServiceBroker> {
        let (id, organization) = (Id::from_uuid(Uuid::nil()), Id::from_uuid(Uuid::nil()));
        Object {
            meta: Meta::new(id, organization, "b".parse().unwrap(), at(0), Tags::new()),
            spec: Spec {
                url: "http://b".to_owned(),
                builtin: None,
                parameters: None,
                authentication: Authentication::None,
                tls: Tls::default(),
                profile: Profile::Dispatch,
                classes: Selection::All,
                refresh: 0,
                cascade: false,
            },
            status,
        }
    }

    fn read(observed_generation: u64) -> Status {
        let catalog = CatalogRef {
            digest: String::new(),
            fetched: at(0),
            refresh_at: at(3600),
            api_version: "2.17".to_owned(),
            warnings: Vec::new(),
        };
        Status { observed_generation, catalog: Some(catalog), ..Status::default() }
    }

    const NOBODY: Seen = Seen { living: 0, leaving: 0, orphans: 0, process_changed: false };

    #[test]
    fn the_catalogue_is_read_at_once_when_the_process_of_a_broker_of_our_own_has_changed() {
        let changed = Seen { process_changed: true, ..NOBODY };
        let retry = Retry { tries: 2, not_before: Some(at(20)), last_error: None };
        for status in [read(1), Status { retry, ..read(1) }] {
            assert_eq!(plan(&broker(status), changed, at(10)), Step::Fetch);
        }
        let mut going = broker(read(1));
        going.meta.deleting = Some(at(5));
        assert_eq!(plan(&going, changed, at(10)), Step::Forget);
    }

    #[test]
    fn the_catalogue_is_read_when_it_is_new_changed_asked_for_or_old() {
        let check = |status: Status, now, expect| {
            assert_eq!(plan(&broker(status), NOBODY, at(now)), expect);
        };
        check(Status::default(), 0, Step::Fetch);
        check(read(1), 10, Step::WaitUntil(at(3600)));
        check(read(1), 3600, Step::Fetch);
        check(read(0), 10, Step::Fetch);
        let retry = Retry { tries: 2, not_before: Some(at(20)), last_error: None };
        check(Status { retry: retry.clone(), ..read(1) }, 10, Step::WaitUntil(at(20)));
        check(Status { retry: retry.clone(), ..read(1) }, 20, Step::Fetch);
        check(Status { retry, ..read(0) }, 10, Step::Fetch);
    }

    #[test]
    fn a_broker_goes_after_its_instances_and_what_may_be_left_of_them() {
        let check = |cascade, living, leaving, orphans, expect| {
            let mut broker = broker(read(1));
            broker.meta.deleting = Some(at(5));
            broker.spec.cascade = cascade;
            assert_eq!(plan(&broker, Seen { living, leaving, orphans, ..NOBODY }, at(10)), expect);
        };
        check(false, 0, 0, 0, Step::Forget);
        check(true, 2, 1, 0, Step::DeleteInstances);
        check(true, 0, 1, 0, Step::AwaitOthers);
        check(false, 1, 0, 0, Step::AwaitOthers);
        check(true, 0, 0, 1, Step::AwaitOthers);
    }
}
