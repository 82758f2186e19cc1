//! Service brokers of our own, on the toolkit of `dispatch-osb`: they keep books, hold keys, and
//! make real things. PostgreSQL is the first.
//!
//! It is not a platform, and knows nothing of one: any Open Service Broker client can use it.

mod account;
mod books;
mod certificates;
mod data;
mod keys;
mod listen;
pub mod postgresql;
#[cfg(feature = "testing")]
pub mod testing;
mod turns;

pub use books::BooksError;
pub use certificates::CertificateError;
pub use data::DataError;
pub use keys::KeyError;
