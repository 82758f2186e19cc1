//! Function workers on this machine: the worker protocol, the sandbox, pools, limits and logs.
//!
//! It knows no store, no HTTP and no kinds: the server turns objects into specs and hands them in.

pub mod build;
pub mod frame;
pub mod host;
pub mod layer;
pub mod logs;
pub mod network;
pub mod pool;
pub mod probe;
pub mod revision;
pub(crate) mod sandbox;
pub mod spawn;
pub mod spawner;
pub mod worker;
