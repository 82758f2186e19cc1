//! PostgreSQL databases: on a server that many share without trusting each other, or on a server of
//! one's own.
//!
//! An instance is a database and a role that owns what is in it; a binding is a login that acts as
//! that role. The administrator's URL names the shared server; without one the broker makes it.
//!
//! - [`serve`] and [`check`]: the entries; `options`, `admin_url`, `tls`: what they are told
//! - `broker`, `request`, `instance`, `background`, `binding`, `update`: requests against the books
//! - `provision`, `bind`, `unbind`, `deprovision`, `extensions`, `objects`: what is done in PostgreSQL
//! - `plan`, `parameters`, `catalog`, `credentials`, `names`: what is offered, given, and how it is
//!   called
//! - `server`, `pool`, `session`, `sql`, `error`: talking to PostgreSQL
//! - `dedicated`: servers of one's own, made, kept running and removed in the background; the shared
//!   server too, where the broker runs it (`managed`)

mod admin_url;
mod background;
mod bind;
mod binding;
mod broker;
mod catalog;
mod check;
mod credentials;
mod dedicated;
mod deprovision;
mod error;
mod extensions;
mod instance;
mod names;
mod objects;
mod options;
mod parameters;
mod plan;
mod pool;
mod provision;
mod request;
mod serve;
mod server;
mod session;
mod sql;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod tls;
mod unbind;
mod update;

pub use crate::account::programs;
pub use admin_url::AdminUrlError;
pub use check::{CheckError, Fault, Report};
pub use dedicated::{
    DedicatedError, DedicatedOptions, ManagedError, ManagedOptions, PortRange, PortRangeError,
    RemoveError, remove,
};
pub use error::PgError;
pub use options::{
    ADMIN_URL_VARIABLE, AdminUrlSource, AuthenticationSource, Options, OptionsError,
};
pub use plan::{DEDICATED_ID, SERVICE_ID, SHARED_LARGE_ID, SHARED_SMALL_ID};
pub use serve::{Opened, ServeError, check, open, serve};
pub use session::{Steps, Timeouts};
pub use tls::TlsError;
