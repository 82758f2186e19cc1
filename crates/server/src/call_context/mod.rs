//! What a call is given besides its input: secrets and the credentials of services, decrypted, and kept from call to
//! call. Functions in service keep it, projecting makes it anew, runs use it.

mod cache;
mod load;
pub mod redact;

pub use cache::ContextCache;
pub use load::{CallContext, load, service_credentials};
