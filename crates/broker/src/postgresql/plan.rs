//! The plans of class `postgresql`: their ids, which are for ever, and what each one is made of.

/// The id of class `postgresql`. Never changes: platforms know the class by it (OSB-034).
pub const SERVICE_ID: &str = "e743b442-c425-42a6-9f09-a95adca126b7";

/// The id of plan `shared-small`.
pub const SHARED_SMALL_ID: &str = "0936e800-32ac-48af-aa58-b88495df3999";

/// The id of plan `shared-large`.
pub const SHARED_LARGE_ID: &str = "4998b609-b1f5-4b52-bf5e-f5a47dfd1eef";

/// The id of plan `dedicated`.
pub const DEDICATED_ID: &str = "d87527b2-771c-43c9-80ce-b1b816548b98";

/// The plan of who names none. There are always shared ones.
pub(super) const DEFAULT: &str = "shared-small";

/// One plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) place: Place,
    /// Connections to the database at one time, of all bindings together.
    pub(super) connections: u16,
}

/// Where an instance's database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On the administrator's server; made at once.
    Shared,
    /// On a server of its own; made in the background.
    Dedicated,
}

/// All plans.
pub(super) const PLANS: &[Plan] = &[
    Plan { id: SHARED_SMALL_ID, name: "shared-small", place: Place::Shared, connections: 20 },
    Plan { id: SHARED_LARGE_ID, name: "shared-large", place: Place::Shared, connections: 100 },
    Plan { id: DEDICATED_ID, name: "dedicated", place: Place::Dedicated, connections: 100 },
];

/// The plan with this id.
pub(super) fn plan(id: &str) -> Option<&'static Plan> {
    PLANS.iter().find(|plan| plan.id == id)
}
