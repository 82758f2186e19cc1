//! Runs: calls of functions. `POST /v1/runs` is the data plane, and the one handler that waits for its effect.
//!
//! A blocking run touches no disk before it answers; its record follows. A non-blocking one is answered when its record
//! is durable, and is taken up again after a crash (decision 15).

mod asked;
mod blocking;
mod create;
mod dispatcher;
mod execute;
mod get;
mod list;
mod record;
mod turn;
mod turns;

pub use blocking::{NotCallable, find, run};
pub use create::create;
pub use dispatcher::{Runs, accept, resume};
pub use execute::{Failed, Request};
pub use get::get;
pub use list::list;

#[cfg(test)]
mod tests;
