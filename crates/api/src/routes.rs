//! The table of contents of the API: the rows of each noun, one after the other.

use crate::{
    Method, Operation, Route, api, base_image, function, image, orphan, run, secret,
    service_binding, service_broker, service_class, service_instance, version,
};

/// All rows, by noun.
pub const TABLE: &[&[Route]] = &[
    version::ROUTES,
    secret::ROUTES,
    service_broker::ROUTES,
    service_class::ROUTES,
    service_instance::ROUTES,
    service_binding::ROUTES,
    orphan::ROUTES,
    base_image::ROUTES,
    image::ROUTES,
    function::ROUTES,
    run::ROUTES,
    api::ROUTES,
];

/// First segments after `/v1/` that the first Dispatch served and this one does not serve yet: 501 (contract §1.1).
pub const NOT_BUILT: &[&str] = &["application", "event", "iam"];

pub fn all() -> impl Iterator<Item = &'static Route> {
    TABLE.iter().copied().flatten()
}

/// The row of an operation. Every operation has exactly one; a test holds that.
pub fn of(operation: Operation) -> &'static Route {
    all().find(|route| route.operation == operation).expect("every operation has a row")
}

/// The methods that a path takes, for `Allow`.
pub fn methods_of(path: &str) -> Vec<Method> {
    all().filter(|route| route.path == path).map(|route| route.method).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_operation_and_no_method_of_a_path_has_two_rows() {
        let rows = all().count();
        let operations: BTreeSet<_> = all().map(|route| route.operation).collect();
        let places: BTreeSet<_> = all().map(|route| (route.path, route.method.as_str())).collect();
        assert_eq!((operations.len(), places.len()), (rows, rows));
    }

    #[test]
    fn the_resource_of_a_route_is_the_second_segment_of_its_path() {
        for route in all().filter(|route| route.path.starts_with("/v1/")) {
            assert_eq!(route.path.split('/').nth(2), Some(route.resource), "{}", route.path);
        }
    }
}
