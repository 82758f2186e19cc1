//! Who may be reached, and how: closed lists that the wiring makes from the build settings.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// All that a proxy may do for a build.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Where they stand: `build.pip`.
    pub settings: &'static str,
    pub hosts: Vec<Host>,
    /// Where the server itself has to go through.
    pub upstream: Option<Upstream>,
}

/// A host that builds may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name in lower case, or a literal address without brackets.
    pub name: String,
    pub port: u16,
    /// Plain HTTP, fetched for the build; otherwise TLS, which it speaks itself.
    pub plain: bool,
    /// Sent to a plain host with each request, so that the build does not need to know it.
    pub authorization: Option<Authorization>,
}

/// The proxy that the server's environment or settings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    pub host: String,
    pub port: u16,
    pub authorization: Option<Authorization>,
    /// Hosts that are reached without it: names, which cover what is below them, or `*`.
    pub bypass: Vec<String>,
}

/// `Basic …`. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization(Zeroizing<String>);

impl Authorization {
    pub fn basic(user: &str, password: &str) -> Self {
        let pair = Zeroizing::new(format!("{user}:{password}"));
        Self(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
    }

    pub(super) fn value(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(<hidden>)")
    }
}

impl Rules {
    pub(super) fn host(&self, name: &str, port: u16, plain: bool) -> Option<&Host> {
        let same = |host: &&Host| host.port == port && host.plain == plain && host.name == name;
        self.hosts.iter().find(same)
    }

    /// The upstream proxy, for hosts that are not reached without it.
    pub(super) fn upstream_for(&self, name: &str) -> Option<&Upstream> {
        self.upstream.as_ref().filter(|upstream| !upstream.bypass.iter().any(|b| covers(b, name)))
    }
}

/// `example.com` and `.example.com` cover it and everything below; `*` covers all.
fn covers(pattern: &str, name: &str) -> bool {
    let pattern = pattern.trim_start_matches("*.").trim_start_matches('.');
    pattern == "*"
        || name.eq_ignore_ascii_case(pattern)
        || name.len() > pattern.len()
            && !pattern.is_empty()
            && name.to_ascii_lowercase().ends_with(&format!(".{}", pattern.to_ascii_lowercase()))
}

/// A host as requests and settings write it, in the one form in which hosts are compared; `None` if it is none.
pub fn canonical_host(text: &str) -> Option<String> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None => text.strip_suffix('.').unwrap_or(text),
    };
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        return Some(address.to_canonical().to_string());
    }
    let is_name = !bare.is_empty()
        && bare.len() <= 253
        && !text.starts_with('[')
        && bare.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    is_name.then(|| bare.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_form_and_what_is_no_host_has_none() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(canonical_host(text).as_deref(), expect, "{text}");
        };
        check("PyPI.org", Some("pypi.org"));
        check("pypi.org.", Some("pypi.org"));
        check("[::1]", Some("::1"));
        check("::ffff:127.0.0.1", Some("127.0.0.1"));
        check("127.0.0.1", Some("127.0.0.1"));
        check("", None);
        check(".", None);
        check("[pypi.org]", None);
        check("a b", None);
        check("user@pypi.org", None);
        check("a\r\nb", None);
        check(&"a".repeat(254), None);
    }

    #[test]
    fn what_is_reached_without_the_upstream_proxy_is_told_by_whole_labels() {
        let check = |pattern, name, expect| assert_eq!(covers(pattern, name), expect, "{pattern}");
        check("*", "pypi.org", true);
        check("corp.example", "index.corp.example", true);
        check(".corp.example", "corp.example", true);
        check("*.corp.example", "a.b.CORP.example", true);
        check("corp.example", "evilcorp.example", false);
        check("", "pypi.org", false);
        check("127.0.0.1", "127.0.0.1", true);
    }

    #[test]
    fn credentials_are_shown_nowhere() {
        let secret = Authorization::basic("user", "hunter2");
        assert_eq!(format!("{secret:?}"), "Authorization(<hidden>)");
        assert_eq!(secret.value(), "Basic dXNlcjpodW50ZXIy");
    }
}
