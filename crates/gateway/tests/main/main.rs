//! The gateway over real loopback connections.

mod calls;
mod fake;
mod listener;
mod platform;
