//! The spawn helper (decision 29): a small process with one thread that makes sandboxes for the
//! server, because a fork of a large server is slow and because only the helper needs privileges.
//!
//! The server starts it before it has threads, secrets or a network, as a second copy of its own
//! executable, and speaks with it over a SEQPACKET socket. It holds no secret and reads no network.
//! Workers die with the helper and the helper with the server.
//!
//! Every executable that calls [`start`] calls [`main_if_asked`] first.

mod client;
mod config;
mod helper;
pub(crate) mod message;
mod request;
mod serve;
mod uids;
mod watched;
mod worker;

pub use client::Spawner;
pub use config::{SpawnerConfig, UidRange};
pub use helper::{Helper, StartError, main_if_asked, start};

/// Makes a test executable able to be its own spawn helper. At the root of the test crate:
/// `dispatch_runtime::spawn_helper_in_tests!();`
#[macro_export]
macro_rules! spawn_helper_in_tests {
    () => {
        #[used]
        #[unsafe(link_section = ".init_array")]
        #[expect(unsafe_code, reason = "libtest owns main, so the helper has to begin before it")]
        static SPAWN_HELPER: extern "C" fn() = {
            extern "C" fn begin() {
                $crate::spawner::main_if_asked();
            }
            begin
        };
    };
}
