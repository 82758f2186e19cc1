//! The control plane: features, and the wiring that makes one server of them.
//!
//! What is deliberately absent: a second way to write (`store.commit` is the only one), a handler that calls a broker,
//! and background work outside the controllers.

mod broker_identity;
mod broker_operation;
mod brokers;
mod call_context;
pub mod config;
mod connector;
mod consumers;
mod controller;
mod faults;
mod features;
mod first_start;
mod functions;
mod http;
pub mod included;
pub mod packages;
mod platform;
pub mod preflight;
mod proxy;
mod reload;
pub mod run_as;
mod schema;
pub mod server;
mod time;
mod upkeep;
pub mod workers;

#[cfg(test)]
mod testing;

#[cfg(test)]
dispatch_runtime::spawn_helper_in_tests!();

/// Makes the test executable its own unpacker of sources, as the product's is.
#[cfg(test)]
#[used]
#[unsafe(link_section = ".init_array")]
#[expect(unsafe_code, reason = "libtest owns main, so the unpacker has to begin before it")]
static UNPACKER: extern "C" fn() = {
    extern "C" fn begin() {
        dispatch_runtime::layer::unpack_main_if_asked();
    }
    begin
};

pub use server::{Running, StartError, start};
