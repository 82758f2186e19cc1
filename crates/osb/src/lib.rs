//! Open Service Broker API 2.17 for both sides of the wire: the types, a client for platforms, a
//! toolkit for brokers, checks of a catalogue, and (feature `fake`) a broker for tests.
//!
//! It is not a platform: when to retry, poll, or mitigate an orphan is decided by the caller, who
//! learns from the closed enums of [`client`] what an answer means. It depends on nothing else of
//! this workspace and is useful alone.
//!
//! Rules carry the numbers OSB-001… of the list of platform obligations in their comments.

pub mod broker;
pub mod catalog;
pub mod client;
#[cfg(feature = "fake")]
pub mod fake;
mod headers;
mod json;
mod text;
pub mod types;
