//! Service classes: what a broker's catalogue offers, as far as the organization has enabled it. A class is not an
//! object; only a decision about one is (a recorded kind).

mod create;
mod decision;
mod delete;
mod enablement;
mod get;
mod list;
mod offering;
mod shape;
mod update;

pub use create::create;
pub use delete::delete;
pub use enablement::Enablement;
pub use get::get;
pub use list::list;
pub use offering::{Offering, PlanWish, Which, find_class};
pub use update::update;
