//! The header names of the API.

/// `MAJOR.MINOR` (OSB-001).
pub(crate) const API_VERSION: &str = "x-broker-api-version";
/// Who caused the request (OSB-008).
pub(crate) const ORIGINATING_IDENTITY: &str = "x-broker-api-originating-identity";
/// The platform's id of this one request (OSB-010).
pub(crate) const REQUEST_IDENTITY: &str = "x-broker-api-request-identity";
