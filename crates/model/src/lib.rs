//! The nouns of Dispatch: names, ids, one module per kind, statuses and error codes.
//!
//! What is deliberately absent: I/O, tokio, HTTP, the clock. Whatever is decided here is decided by
//! value and can be tested in a table.

pub mod error;
pub mod id;
pub mod kind;
pub mod name;
pub mod object;
pub mod status;

pub mod access_key;
pub mod api;
pub mod base_image;
pub mod broker_operation;
pub mod function;
pub mod image;
pub mod organization;
pub mod orphan;
pub mod secret;
pub mod service_binding;
pub mod service_broker;
pub mod service_class;
pub mod service_instance;

pub use error::ErrorCode;
pub use id::Id;
pub use kind::Kind;
pub use name::{CatalogName, Name};
pub use object::{Meta, Noun, Object, Tags};
pub use status::Phase;
