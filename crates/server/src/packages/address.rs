//! A URL or a path of the settings. It may hold credentials, so it is never shown whole.

use std::{fmt, path::PathBuf};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::proxy::{Authorization, canonical_host};

/// Text as it was set. `Debug` shows no user and no password.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

/// An http or https URL, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Web {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) plain: bool,
    pub(super) authorization: Option<Authorization>,
    /// The whole of it, and without user and password.
    pub(super) whole: Address,
    pub(super) bare: String,
    /// The parts of it that nobody may read.
    pub(super) secrets: Vec<String>,
}

impl Address {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// `None` if it is no http or https URL with a host.
    pub(super) fn web(&self) -> Option<Web> {
        let url = Url::parse(&self.0).ok()?;
        let plain = match url.scheme() {
            "http" => true,
            "https" => false,
            _ => return None,
        };
        let host = url.host_str().and_then(canonical_host)?;
        let port = url.port_or_known_default().filter(|port| *port != 0)?;
        let (user, password) = (url.username(), url.password().unwrap_or_default());
        let has_user = !user.is_empty() || !password.is_empty();
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let authorization =
            has_user.then(|| Authorization::basic(&decoded(user), &decoded(password)));
        // With a password, the user's name is no secret; without one, it is a token.
        let secret = if password.is_empty() { user } else { password };
        let mut secrets = vec![secret.to_owned(), decoded(secret)];
        secrets.dedup();
        secrets.retain(|secret| !secret.is_empty());
        let mut bare = url.clone();
        // Neither can fail: it has a host.
        let _ = (bare.set_username(""), bare.set_password(None));
        let (whole, bare) = (self.clone(), bare.to_string());
        Some(Web { host, port, plain, authorization, whole, bare, secrets })
    }

    /// A directory of this machine: an absolute path, or a `file:` URL of one.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        if self.0.starts_with('/') {
            return Some(PathBuf::from(&self.0));
        }
        Url::parse(&self.0).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok()
    }

    /// An HTTP proxy. `HOST:PORT` alone means one too, as in most programs.
    pub(super) fn proxy(&self) -> Option<Web> {
        let has_scheme = self.0.contains("://");
        let text = if has_scheme { self.0.clone() } else { format!("http://{}", self.0) };
        Self(text).web().filter(|web| web.plain)
    }
}

/// What somebody may read of a text that may hold credentials.
pub(super) fn bare(text: &str) -> String {
    let address = Address::new(text);
    match address.web().or_else(|| address.proxy()) {
        Some(web) => web.bare,
        // What cannot be taken apart may hold anything.
        None if text.contains('@') => "<hidden>".to_owned(),
        None => text.to_owned(),
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Web({:?})", self.bare)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", bare(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_apart_and_never_shown() {
        let check = |text: &str, bare: &str, secrets: &[&str]| {
            let address = Address::new(text);
            let web = address.web().unwrap();
            assert_eq!(
                (web.bare.as_str(), web.secrets.as_slice()),
                (bare, secrets_of(secrets).as_slice())
            );
            assert_eq!(web.authorization.is_some(), !secrets.is_empty(), "{text}");
            let shown = format!("{address:?} {web:?}");
            assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
        };
        check("https://pypi.org/simple", "https://pypi.org/simple", &[]);
        check("https://me:hunter2@i.example/s", "https://i.example/s", &["hunter2"]);
        check("https://tok3n@i.example/s", "https://i.example/s", &["tok3n"]);
        check("https://me:a%40b@i.example/", "https://i.example/", &["a%40b", "a@b"]);
        for odd in ["me:hunter2@", "https://me:hunter2@", "socks5://me:hunter2@x:1"] {
            assert!(!format!("{:?}", Address::new(odd)).contains("hunter2"), "{odd}");
        }
    }

    fn secrets_of(secrets: &[&str]) -> Vec<String> {
        secrets.iter().map(|secret| (*secret).to_owned()).collect()
    }

    #[test]
    fn a_proxy_may_come_without_a_scheme_and_must_be_plain() {
        let place = |text: &str| Address::new(text).proxy().map(|web| (web.host, web.port));
        assert_eq!(place("proxy:3128"), Some(("proxy".to_owned(), 3128)));
        assert_eq!(place("http://u:p@proxy"), Some(("proxy".to_owned(), 80)));
        assert_eq!(place("https://proxy:3128"), None);
        assert_eq!(place("socks5h://proxy:1080"), None);
        assert_eq!(place(""), None);
    }

    #[test]
    fn a_directory_is_a_path_or_a_file_url() {
        let directory = |text: &str| Address::new(text).directory();
        assert_eq!(directory("/srv/wheels"), Some(PathBuf::from("/srv/wheels")));
        assert_eq!(directory("file:///srv/wheels"), Some(PathBuf::from("/srv/wheels")));
        assert_eq!(directory("wheels"), None);
        assert_eq!(directory("https://x/wheels"), None);
    }
}
