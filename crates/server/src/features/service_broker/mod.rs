//! Service brokers: registering one, and keeping its catalogue. Reconciled: reading the catalogue is an outside effect.

mod absorb;
mod act;
mod builtin;
#[cfg(test)]
mod crash;
mod create;
mod delete;
mod get;
mod input;
mod list;
mod own;
mod plan;
#[cfg(test)]
mod race;
mod refresh;
mod settle;
pub mod shape;
mod update;

pub use act::Controller;
pub use create::create;
pub use delete::delete;
pub use get::get;
pub use list::list;
pub use own::{login_changed, sweep};
pub use refresh::refresh;
pub use settle::settling;
pub use update::update;
