//! The plans of class `postgresql`: their ids, which are for ever, and what each one is made of.
//!
//! A plan is a [`Shape`] and its limits. A further shared plan is one more row here and in the
//! catalogue; a plan of another shape (a server of one's own, made in the background) is one more
//! variant, and the compiler names the places that have to know it.

/// The id of class `postgresql`. Never changes: platforms know the class by it (OSB-034).
pub const SERVICE_ID: &str = "e743b442-c425-42a6-9f09-a95adca126b7";

/// The id of plan `shared-small`.
pub const SHARED_SMALL_ID: &str = "0936e800-32ac-48af-aa58-b88495df3999";

/// One plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

/// What an instance of a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A database and an owner role on the administrator's server; made at once.
    Shared(SharedLimits),
}

/// What an instance on a shared server may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SharedLimits {
    /// Connections to the database at one time, of all bindings together.
    pub(super) connections: u16,
}

/// All plans.
pub(super) const PLANS: &[Plan] = &[Plan {
    id: SHARED_SMALL_ID,
    name: "shared-small",
    shape: Shape::Shared(SharedLimits { connections: 20 }),
}];

/// The plan with this id.
pub(super) fn plan(id: &str) -> Option<&'static Plan> {
    PLANS.iter().find(|plan| plan.id == id)
}
