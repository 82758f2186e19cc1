//! Secrets: named maps of text to text, encrypted at rest. A recorded kind: a handler and the store, nothing else.

mod create;
mod delete;
mod get;
mod list;
mod shape;
mod update;

pub use create::create;
pub use delete::delete;
pub use get::get;
pub use list::list;
pub use update::update;
