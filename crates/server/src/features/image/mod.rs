//! Images: a base image and a layer with what functions depend on, built by the language's own tool in a sandbox.

mod act;
mod build;
mod create;
mod delete;
mod get;
mod input;
mod list;
mod plan;
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
pub use settle::settling;
pub use update::update;
