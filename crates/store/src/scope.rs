//! Whose rows a read may see (decision 7). There is no read of an organization's rows without one.

use dispatch_model::{Id, organization::Organization};
use uuid::Uuid;

/// Everything: for controllers and the administrator's routes. Made once, by [`Store::open`](crate::Store::open),
/// and neither copied nor made anywhere else, so that whoever has one was given it in the wiring.
#[derive(Debug)]
pub struct SystemScope {
    _made_by_open: (),
}

/// One organization's rows. The server makes one only for a request that it has authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgScope {
    organization: Id<Organization>,
}

/// A limit to what a read sees. Closed: the two above.
pub trait Scope: sealed::Filter + Send + Sync {}

impl Scope for SystemScope {}
impl Scope for OrgScope {}

impl SystemScope {
    pub(crate) const fn new() -> Self {
        Self { _made_by_open: () }
    }

    /// Narrows to one organization.
    pub const fn organization(&self, id: Id<Organization>) -> OrgScope {
        OrgScope { organization: id }
    }
}

impl OrgScope {
    pub const fn organization(&self) -> Id<Organization> {
        self.organization
    }
}

/// The organization that rows must have; `None` for all.
pub(crate) type Only = Option<Uuid>;

pub(crate) mod sealed {
    use super::{Only, OrgScope, SystemScope};

    pub trait Filter {
        fn only(&self) -> Only;
    }

    impl Filter for SystemScope {
        fn only(&self) -> Only {
            None
        }
    }

    impl Filter for OrgScope {
        fn only(&self) -> Only {
            Some(self.organization.uuid())
        }
    }
}
