//! APIs: functions behind HTTP. Projected: a handler, and the gateway's table that holds it.

mod create;
mod delete;
mod get;
mod input;
mod invoke;
mod list;
mod project;
mod shape;
mod update;

pub use create::create;
pub use delete::delete;
pub use get::get;
pub use invoke::Invoker;
pub use list::list;
pub use project::publish;
pub use update::update;
