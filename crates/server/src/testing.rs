//! For tests of this crate: a whole server in a temporary directory, on a clock of its own; a fake broker beside it;
//! and made-up objects.

mod bad_brokers;
pub mod crash;
pub mod functions;
mod golden;
pub mod index;
pub mod objects;
mod platform;
mod process;
mod refusal;
mod same_name;
mod sandbox;
mod server;

pub use functions::until;
pub use platform::TestPlatform;
pub use server::{Answer, TestServer, World};
