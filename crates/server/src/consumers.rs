//! Who has credentials in hand: the port to whatever runs functions. Rotation waits on it (decision 25).

use dispatch_model::{Id, service_binding::ServiceBinding};

/// Implemented by the function workers' side.
pub trait Consumers: Send + Sync + std::fmt::Debug {
    /// A process exists that was given this version of the binding's credentials, or an earlier one.
    fn any_has(&self, binding: Id<ServiceBinding>, version: u64) -> bool;

    /// Has every such process end, successors first. Wakes the binding's controller when the last one has.
    fn retire(&self, binding: Id<ServiceBinding>, version: u64);

    /// The credentials of a binding changed or are gone: what is held of them is out of date.
    fn credentials_changed(&self, binding: Id<ServiceBinding>);
}

/// No process has anything in hand.
#[derive(Debug, Clone, Copy)]
pub struct NoConsumers;

impl Consumers for NoConsumers {
    fn any_has(&self, _: Id<ServiceBinding>, _: u64) -> bool {
        false
    }
    fn retire(&self, _: Id<ServiceBinding>, _: u64) {}
    fn credentials_changed(&self, _: Id<ServiceBinding>) {}
}
