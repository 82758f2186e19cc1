//! The contract: wire types of REST v1, the route table as data, and a typed client.
//!
//! What is deliberately absent: how anything is done. The server maps each `Operation` of the table to a handler;
//! the command line calls the same operations through `Client`.

pub mod client;
pub mod error;
pub mod route;
pub mod routes;
pub mod tag;

pub mod api;
pub mod base_image;
pub mod function;
pub mod image;
pub mod openapi;
pub mod orphan;
pub mod run;
pub mod secret;
pub mod service_binding;
pub mod service_broker;
pub mod service_class;
pub mod service_instance;
pub mod version;

pub use client::{Client, ClientError};
pub use error::{ErrorBody, Fault};
pub use route::{Action, Method, Operation, Route};
pub use tag::Tag;

/// Header that names the organization (contract §1.2).
pub const ORGANIZATION_HEADER: &str = "X-Dispatch-Org";
/// `false` on an answer that was asked to wait and did not settle in time (decision 9).
pub const SETTLED_HEADER: &str = "Dispatch-Settled";

/// On an answer to a GET with `?wait` and `&seen`: what to send as `seen` to be answered at the next change.
pub const SEEN_HEADER: &str = "Dispatch-Seen";

/// `true` on a list that does not hold all there is.
pub const TRUNCATED_HEADER: &str = "Dispatch-Truncated";
