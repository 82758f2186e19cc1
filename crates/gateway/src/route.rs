//! One API as the gateway serves it: a row of the snapshot that the control plane publishes.

use std::sync::Arc;

use http::Method;
use uuid::Uuid;

/// An API. Empty lists match anything (contract §6.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub id: Uuid,
    pub name: Arc<str>,
    pub organization: Organization,
    pub function: Function,
    /// Host names without a port, in any case.
    pub hosts: Vec<String>,
    /// Paths as their author wrote them, without the organization in front (see [`relative_uri`]). Each is served with
    /// everything below it.
    pub uris: Vec<String>,
    /// In capitals; see [`method`].
    pub methods: Vec<Method>,
    /// Calls over plain HTTP are refused; see [`https_only`].
    pub https_only: bool,
    pub enabled: bool,
    /// Scripts of any other site may read the answers.
    pub cors: bool,
    pub authentication: Authentication,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    pub id: Uuid,
    pub name: Arc<str>,
}

/// The function that an API calls. It need not exist (contract §2.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub id: Option<Uuid>,
    pub name: Arc<str>,
}

/// Who may call an API. What the gateway cannot enforce it does not serve: such an API answers 501.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Anybody.
    Public,
    /// A way that is stored and not enforced yet (`basic`, `oidc`, …).
    Unsupported(String),
}

impl Authentication {
    /// From the API's field. Absent and empty mean public, as in v0.1.22.
    pub fn from_field(field: Option<&str>) -> Self {
        match field {
            None | Some("" | "public") => Self::Public,
            Some(other) => Self::Unsupported(other.to_owned()),
        }
    }
}

/// Whether `protocols` mean that only HTTPS is served: exactly `["https"]` (contract §6.1).
pub fn https_only<S: AsRef<str>>(protocols: &[S]) -> bool {
    matches!(protocols, [only] if only.as_ref() == "https")
}

/// An HTTP method from the API's field, in any case. `None` if it cannot be one.
pub fn method(text: &str) -> Option<Method> {
    Method::from_bytes(text.to_ascii_uppercase().as_bytes()).ok()
}

/// A path as v0.1.22 stores and shows it: with the organization in front, unless the API has hosts.
pub fn stored_uri(organization: &str, has_hosts: bool, uri: &str) -> String {
    let uri = uri.trim_start_matches('/');
    if has_hosts { format!("/{uri}") } else { format!("/{organization}/{uri}") }
}

/// The path for [`Route::uris`] from what a client sent, which may be what it was shown (see [`stored_uri`]).
pub fn relative_uri(organization: &str, has_hosts: bool, uri: &str) -> String {
    let uri = uri.trim_start_matches('/');
    let own =
        uri.strip_prefix(organization).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    match own {
        Some(rest) if !has_hosts => format!("/{}", rest.trim_start_matches('/')),
        _ => format!("/{uri}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_alone_excludes_http() {
        assert!(https_only(&["https"]));
        assert!(!https_only(&["http", "https"]));
        assert!(!https_only(&["gopher"]));
        assert!(!https_only::<&str>(&[]));
    }

    #[test]
    fn what_is_not_public_is_not_taken_for_it() {
        let check = |field, expect| assert_eq!(Authentication::from_field(field), expect);
        check(None, Authentication::Public);
        check(Some(""), Authentication::Public);
        check(Some("public"), Authentication::Public);
        check(Some("basic"), Authentication::Unsupported("basic".to_owned()));
        check(Some("Public"), Authentication::Unsupported("Public".to_owned()));
    }

    #[test]
    fn a_uri_is_shown_with_its_organization_and_read_back_without() {
        let check = |has_hosts, uri: &str, stored: &str, relative: &str| {
            assert_eq!(stored_uri("org", has_hosts, uri), stored);
            assert_eq!(relative_uri("org", has_hosts, uri), relative);
            assert_eq!(relative_uri("org", has_hosts, stored), relative);
        };
        check(false, "/hello", "/org/hello", "/hello");
        check(false, "no slash", "/org/no slash", "/no slash");
        check(false, "/", "/org/", "/");
        check(false, "/organ", "/org/organ", "/organ");
        check(true, "/hosted", "/hosted", "/hosted");
        check(true, "/org/hosted", "/org/hosted", "/org/hosted");
        assert_eq!(relative_uri("org", false, "/org"), "/");
    }

    #[test]
    fn a_method_is_read_in_any_case() {
        assert_eq!(method("get"), Some(Method::GET));
        assert_eq!(method("FLY").map(|m| m.to_string()), Some("FLY".to_owned()));
        assert_eq!(method("a b"), None);
        assert_eq!(method(""), None);
    }
}
