//! Who may call the broker (OSB-004, OSB-005). Comparisons take the same time for any wrong value.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// What the broker asks of its callers on every request, the catalogue included.
#[derive(Clone, PartialEq, Eq)]
pub enum Authentication {
    None,
    Basic { username: String, password: String },
    Bearer { token: String },
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(<redacted>)",
            Self::Bearer { .. } => "Bearer(<redacted>)",
        })
    }
}

impl Authentication {
    /// Whether the headers of a request satisfy it.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let given = || headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        match self {
            Self::None => true,
            Self::Basic { username, password } => {
                let pair = given()
                    .and_then(|value| credentials(value, "basic"))
                    .and_then(|text| STANDARD.decode(text.trim_ascii()).ok());
                pair.is_some_and(|pair| equal(&pair, format!("{username}:{password}").as_bytes()))
            }
            Self::Bearer { token } => given()
                .and_then(|value| credentials(value, "bearer"))
                .is_some_and(|text| equal(text.trim_ascii(), token.as_bytes())),
        }
    }

    /// The value of `WWW-Authenticate` in a 401.
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Basic { .. } => Some("Basic realm=\"service broker\", charset=\"UTF-8\""),
            Self::Bearer { .. } => Some("Bearer realm=\"service broker\""),
        }
    }
}

/// What follows the scheme, whose case does not matter.
fn credentials<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (given, rest) = value.split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ")?;
    given.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
}

/// Compares digests, so that not even the length shows in the time that it takes.
fn equal(given: &[u8], expected: &[u8]) -> bool {
    let (given, expected) = (digest(&SHA256, given), digest(&SHA256, expected));
    aws_lc_rs::constant_time::verify_slices_are_equal(given.as_ref(), expected.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(authentication: &Authentication, header: &str, expect: bool) {
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        }
        assert_eq!(authentication.admits(&headers), expect, "{authentication:?} {header:?}");
    }

    /// OSB-004, OSB-005
    #[test]
    fn only_the_right_credentials_are_admitted() {
        let basic = Authentication::Basic { username: "u".into(), password: "p:é".into() };
        let right = STANDARD.encode("u:p:é");
        check(&basic, &format!("Basic {right}"), true);
        check(&basic, &format!("bASIC {right}"), true);
        check(&basic, &format!("Bearer {right}"), false);
        check(&basic, &format!("Basic{right}"), false);
        check(&basic, &format!("Basic {}", STANDARD.encode("u:p")), false);
        check(&basic, "Basic ???", false);
        check(&basic, "", false);
        let bearer = Authentication::Bearer { token: "t0".into() };
        check(&bearer, "Bearer t0", true);
        check(&bearer, "bearer t0", true);
        check(&bearer, "Bearer t01", false);
        check(&bearer, "Bearer ", false);
        check(&bearer, "Beare", false);
        check(&Authentication::None, "", true);
    }

    #[test]
    fn debug_shows_no_credential() {
        let basic = Authentication::Basic { username: "user".into(), password: "hush".into() };
        assert!(!format!("{basic:?}").contains("hush"));
    }
}
