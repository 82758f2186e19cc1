//! The HTTP client underneath: no redirects, no proxies, no kept connections, our own names.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use reqwest::redirect;
use reqwest::{Certificate, Identity};

use super::address::Base;
use super::endpoint::{Authentication, ClientError, Endpoint};
use super::policy::{AddressPolicy, Checked};
use crate::types::ApiVersion;

/// Sets up the HTTP client for an endpoint.
pub(super) fn http_client(
    endpoint: &Endpoint,
    base: &Base,
    policy: Arc<dyn AddressPolicy>,
) -> Result<reqwest::Client, ClientError> {
    let version = endpoint.api_version;
    if !(ApiVersion::OLDEST..=ApiVersion::LATEST).contains(&version) {
        return Err(ClientError::Version(version));
    }
    let builder = reqwest::Client::builder()
        .user_agent(concat!("dispatch-osb/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .http1_only()
        .pool_max_idle_per_host(0)
        .connect_timeout(endpoint.limits.connect)
        .timeout(endpoint.limits.request)
        .dns_resolver(Arc::new(Checked { policy, port: base.port() }));
    let builder = trust(builder, endpoint, base)?;
    let builder = match &endpoint.authentication {
        Authentication::Certificate { .. } if !base.is_tls() => {
            return Err(ClientError::CertificateWithoutTls);
        }
        Authentication::Certificate { certificate_pem, key_pem } => {
            let pem = format!("{key_pem}\n{certificate_pem}");
            let identity = Identity::from_pem(pem.as_bytes()).map_err(ClientError::Certificate)?;
            builder.identity(identity)
        }
        _ => builder,
    };
    builder.build().map_err(ClientError::Setup)
}

/// Whom the client believes to be the broker (OSB-005).
fn trust(
    builder: reqwest::ClientBuilder,
    endpoint: &Endpoint,
    base: &Base,
) -> Result<reqwest::ClientBuilder, ClientError> {
    match (&endpoint.tls.ca_pem, endpoint.tls.skip_verify) {
        (Some(_), true) => Err(ClientError::TrustTwice),
        (Some(pem), false) => {
            let authorities = Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|error| ClientError::Authority(Some(error)))?;
            if authorities.is_empty() {
                return Err(ClientError::Authority(None));
            }
            Ok(builder.tls_certs_only(authorities))
        }
        (None, true) => Ok(builder.tls_danger_accept_invalid_certs(true)),
        // Without TLS there is nobody to trust, and the system's authorities need not be read.
        (None, false) if !base.is_tls() => Ok(builder.tls_certs_only([])),
        (None, false) => Ok(builder),
    }
}

/// The `Authorization` header, marked so that nothing prints it.
pub(super) fn authorization(
    authentication: &Authentication,
) -> Result<Option<HeaderValue>, ClientError> {
    let text = match authentication {
        Authentication::None | Authentication::Certificate { .. } => return Ok(None),
        // The name ends at the first colon, so that one in it would move the border.
        Authentication::Basic { username, .. } if username.contains(':') => {
            return Err(ClientError::Credentials);
        }
        Authentication::Basic { username, password } => {
            format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
        }
        Authentication::Bearer { token } => format!("Bearer {token}"),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| ClientError::Credentials)?;
    value.set_sensitive(true);
    Ok(Some(value))
}
