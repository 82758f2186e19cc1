//! The gateway over real loopback connections.

mod listener;
mod platform;
