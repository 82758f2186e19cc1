//! Who is calling. Keys are compared by their SHA-256; only hashes are in memory (decision 18).

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use dispatch_model::ErrorCode;
use http::{HeaderMap, header};

use crate::http::ApiError;

/// Knows the keys that may come in.
#[derive(Debug)]
pub struct Authenticator {
    /// SHA-256 of the administrator's keys.
    administrators: Vec<[u8; 32]>,
    /// `--skip-auth`: any login counts, but only under a loopback name.
    skip: bool,
}

impl Authenticator {
    pub const fn new(administrators: Vec<[u8; 32]>, skip: bool) -> Self {
        Self { administrators, skip }
    }

    /// Who it is. A cookie or an Authorization header, either is enough (contract §1.2).
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<String, ApiError> {
        let mut shown = Vec::new();
        for name in [header::COOKIE, header::AUTHORIZATION] {
            let text = headers.get(&name).and_then(|value| value.to_str().ok());
            shown.extend(text.filter(|text| !text.is_empty()));
        }
        if shown.is_empty() {
            return Err(unauthenticated());
        }
        if self.skip || shown.iter().any(|text| self.is_administrator(text)) {
            return Ok("administrator".to_owned());
        }
        Err(unauthenticated())
    }

    /// With `--skip-auth` a page in a browser must not be able to reach us under a name of its own (DNS rebinding).
    pub fn check_host(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if !self.skip {
            return Ok(());
        }
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
        if is_loopback_host(host) {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::Forbidden,
            "this server runs with --skip-auth and answers only as localhost",
        ))
    }

    fn is_administrator(&self, text: &str) -> bool {
        let key = strip_bearer(text).trim();
        let hash = digest::digest(&digest::SHA256, key.as_bytes());
        // No early end: how many keys there are is no secret, which one it was is nobody's business.
        self.administrators
            .iter()
            .filter(|known| verify_slices_are_equal(known.as_slice(), hash.as_ref()).is_ok())
            .count()
            > 0
    }
}

fn unauthenticated() -> ApiError {
    ApiError::new(ErrorCode::Unauthenticated, "unauthenticated for invalid credentials")
}

fn strip_bearer(text: &str) -> &str {
    match text.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer ") => rest,
        _ => text,
    }
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_accepted_as_cookie_and_as_bearer_and_nothing_else_is() {
        let hash = digest::digest(&digest::SHA256, b"dk_right");
        let known: [u8; 32] = hash.as_ref().try_into().unwrap();
        let check = |name: header::HeaderName, value: &str, expect: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            let found = Authenticator::new(vec![known], false).authenticate(&headers);
            assert_eq!(found.is_ok(), expect, "{value}");
        };
        check(header::COOKIE, "dk_right", true);
        check(header::AUTHORIZATION, "Bearer dk_right", true);
        check(header::AUTHORIZATION, "bearer dk_right", true);
        check(header::AUTHORIZATION, "Bearer dk_wrong", false);
        check(header::COOKIE, "unset", false);
        check(header::COOKIE, "", false);
    }

    #[test]
    fn without_authentication_only_loopback_names_are_answered() {
        let check = |host: &str, expect: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            let found = Authenticator::new(Vec::new(), true).check_host(&headers);
            assert_eq!(found.is_ok(), expect, "{host}");
        };
        check("localhost:8080", true);
        check("127.0.0.1:8080", true);
        check("[::1]:8080", true);
        check("evil.example:8080", false);
        check("127.0.0.1.evil.example", false);
        check("", false);
    }
}
