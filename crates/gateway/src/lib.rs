//! The data plane: it matches a request to an API, turns it into a call of a function and the result into an answer.
//! It reads a snapshot of routes, never the store; it calls functions through a trait that the server implements.
//!
//! What is deliberately absent: the store, the control plane's handlers, and everything about how a function is run.
//! The accept loop in [`listener`] is used by the control plane too.

pub mod listener;
pub mod route;
pub mod table;
pub mod tls;
