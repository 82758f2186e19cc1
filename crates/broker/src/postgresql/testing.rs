//! What the test cluster of this crate borrows from the broker.

use super::admin_url::AdminUrl;
pub(crate) use super::session::Session;
use super::session::{Steps, Target, Timeouts};
use super::tls::{self, Tls};

/// TLS that verifies everything against a certificate that the caller has made.
pub(crate) fn verify_full(ca_pem: &str) -> Tls {
    tls::verify_full(ca_pem).expect("the certificate was made by the test")
}

/// Where to connect to, from a URL that the caller has made.
pub(crate) fn target(url: &str, ca_pem: &str) -> Target {
    let url = AdminUrl::parse(url).expect("the URL was made by the test");
    let timeouts = Timeouts::default();
    Target {
        address: url.address.to_string(),
        database: url.database.clone(),
        config: url.config(&url.database, timeouts.connect, true),
        tls: verify_full(ca_pem),
        timeouts,
        steps: Steps::default(),
    }
}
