//! Service bindings: credentials for an instance. Bound, rotated and unbound by the controller; kept as secrets.

mod absorb;
mod act;
#[cfg(test)]
mod crash;
mod create;
mod credentials;
mod delete;
mod get;
mod list;
mod plan;
mod request;
mod rotate;
pub mod save;
mod settle;
mod shape;

pub use act::Controller;
pub use create::create;
pub use delete::{ask, delete, mark_deleting, purge_into};
pub use get::get;
pub use list::list;
pub use rotate::rotate;
pub use settle::settling;
