//! Databases on a PostgreSQL server that many share without trusting each other.
//!
//! An instance is a database and a role that owns what is in it; a binding is a login that acts as
//! that role. It makes no servers: the administrator's URL names one that runs.
//!
//! - [`serve`] and [`check`]: the entries; `options`, `admin_url`, `tls`: what they are told
//! - `broker`, `request`, `instance`, `binding`: requests against the books
//! - `provision`, `bind`, `unbind`, `deprovision`, `objects`: what is done in PostgreSQL
//! - `plan`, `catalog`, `credentials`, `names`: what is offered, given, and how it is called
//! - `pool`, `session`, `sql`, `error`: talking to PostgreSQL

mod admin_url;
mod bind;
mod binding;
mod broker;
mod catalog;
mod check;
mod credentials;
mod deprovision;
mod error;
mod instance;
mod names;
mod objects;
mod options;
mod plan;
mod pool;
mod provision;
mod request;
mod serve;
mod session;
mod sql;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod tls;
mod unbind;

pub use admin_url::AdminUrlError;
pub use check::{CheckError, Fault, Report};
pub use error::PgError;
pub use options::{
    ADMIN_URL_VARIABLE, AdminUrlSource, AuthenticationSource, Options, OptionsError,
};
pub use plan::{SERVICE_ID, SHARED_SMALL_ID};
pub use serve::{ServeError, check, serve};
pub use session::{Steps, Timeouts};
pub use tls::TlsError;
