//! Functions: made by a handler, built and put into service by the controller.

mod act;
mod build;
mod create;
mod delete;
mod get;
pub mod input;
mod list;
mod plan;
mod project;
mod refresh;
mod settle;
mod shape;
#[cfg(test)]
mod tests;
mod update;

pub use act::Controller;
pub use create::create;
pub use delete::delete;
pub use get::get;
pub use list::list;
pub use project::{look_for_layers, project_now};
pub use refresh::{follow, refresh};
pub use settle::settling;
pub use update::update;
