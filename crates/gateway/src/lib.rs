//! The data plane: it matches a request to an API, turns it into a call of a function and the result into an answer.
//! It reads a snapshot of routes, never the store; it calls functions through a trait that the server implements.
//!
//! What is deliberately absent: the store, the control plane's handlers, and everything about how a function is run.
//! The accept loop in [`listener`] is used by the control plane too.
//!
//! Only public APIs are served. One with any other `authentication` is answered 501, because what is stored and not
//! enforced would be open.

mod answer;
pub mod call;
pub mod context;
mod gateway;
mod input;
pub mod listener;
pub mod route;
pub mod table;
pub mod tls;

pub use gateway::Gateway;
pub use input::CallLimits;
