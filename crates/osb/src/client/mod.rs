//! The platform's side: call a broker, and learn what its answer means.
//!
//! A [`Client`] speaks to one broker. Every call that changes something returns a closed
//! [`Outcome`]; polling returns [`Polled`], fetching [`Fetched`], the catalogue
//! [`CatalogFetched`]. The client never repeats a request, never follows a redirect and never
//! decides to mitigate an orphan: that is the platform's work, for which the outcome says all.

mod address;
pub mod classify;
mod connect;
mod context;
mod endpoint;
mod exchange;
mod fetch;
mod mutate;
mod outcome;
mod policy;
mod prepare;
mod words;

pub use context::{BindingTarget, CallContext, InstanceTarget};
pub use endpoint::{Authentication, ClientError, Endpoint, Limits, Tls};
pub use fetch::MAX_CATALOG_TRIES;
pub use outcome::{CatalogFetched, Doubt, Fetched, Outcome, Polled, Refusal, RefusalCode};
pub use policy::{AddressPolicy, AnyAddress};
pub use prepare::{Prepared, PreparedKind};

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::sync::Semaphore;

use crate::types::ApiVersion;

/// A client for one broker.
///
/// At most [`Limits::concurrency`] requests are under way at a time; further calls wait for their
/// turn, and their time runs only from there. Connections are not kept between requests: a kept
/// one that the broker closes at the moment of a PUT would make its fate unknown (A0.1), and every
/// new connection asks the [`AddressPolicy`] again.
pub struct Client {
    http: reqwest::Client,
    base: address::Base,
    authorization: Option<http::HeaderValue>,
    policy: Arc<dyn AddressPolicy>,
    limits: Limits,
    turns: Semaphore,
    /// The minor number of version 2 that the broker is spoken to with.
    minor: AtomicU16,
}

impl Client {
    /// Makes a client; nothing is sent. `policy` is asked for every address before a connection
    /// is made to it.
    pub fn new(endpoint: Endpoint, policy: Arc<dyn AddressPolicy>) -> Result<Self, ClientError> {
        let base = address::Base::parse(&endpoint.url)?;
        let authorization = connect::authorization(&endpoint.authentication)?;
        let http = connect::http_client(&endpoint, &base, Arc::clone(&policy))?;
        Ok(Self {
            http,
            base,
            authorization,
            policy,
            turns: Semaphore::new(endpoint.limits.concurrency.max(1)),
            limits: endpoint.limits,
            minor: AtomicU16::new(endpoint.api_version.minor),
        })
    }

    /// The version that is spoken: that of the endpoint until the catalogue has been fetched,
    /// then the newest that the broker accepted (OSB-007).
    pub fn api_version(&self) -> ApiVersion {
        ApiVersion::v2(self.minor.load(Ordering::Relaxed))
    }

    fn set_api_version(&self, version: ApiVersion) {
        self.minor.store(version.minor, Ordering::Relaxed);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base)
            .field("api_version", &self.api_version())
            .finish_non_exhaustive()
    }
}
