//! Base images: a language, and the interpreter that proves itself in the sandbox before anything stands on it.

mod act;
mod create;
mod delete;
mod get;
mod list;
mod proof;
mod settle;
mod shape;
mod update;

pub use act::Controller;
pub use create::create;
pub use delete::delete;
pub use get::get;
pub use list::list;
pub use settle::settling;
pub use update::update;
