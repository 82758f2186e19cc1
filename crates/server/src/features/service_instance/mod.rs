//! Service instances: asked for by a handler, brought about by the controller. The template for reconciled kinds:
//! one file per verb, then `plan` (pure), `act` (the only effect), `absorb` (pure).

mod absorb;
mod act;
#[cfg(test)]
mod crash;
mod create;
mod delete;
mod get;
mod list;
mod parameters;
mod plan;
mod request;
mod retry;
mod save;
mod settle;
pub mod shape;

pub use act::Controller;
pub use create::create;
pub use delete::{ask, delete, mark_deleting, purge_into};
pub use get::get;
pub use list::list;
pub use parameters::{check, merge_secrets, merged};
pub use retry::retry;
pub use settle::settling;
