//! The base URL of a broker and the encoding of ids in paths and queries (OSB-011, OSB-012).

use std::fmt;
use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

use super::endpoint::ClientError;

/// Everything outside of RFC 3986's unreserved characters is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes one segment of a path, or one value of a query.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Where a broker is, without a slash at its end.
pub(super) struct Base {
    url: Url,
    text: String,
}

impl Base {
    pub(super) fn parse(text: &str) -> Result<Self, ClientError> {
        let url = Url::parse(text.trim()).map_err(ClientError::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ClientError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ClientError::CredentialsInUrl);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ClientError::UrlTail);
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url, text })
    }

    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// The address, if the URL names one instead of a host.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
            Host::Domain(_) => None,
        }
    }

    /// Joins a path (encoded, starting with a slash) and a query (encoded, or empty).
    ///
    /// `None` if the path would not arrive as it is written: an id of `.` or `..` would be taken
    /// for a step within the path.
    pub(super) fn join(&self, path: &str, query: &str) -> Option<Url> {
        let mut text = format!("{}{path}", self.text);
        if !query.is_empty() {
            text.push('?');
            text.push_str(query);
        }
        Url::parse(&text).ok().filter(|url| url.as_str() == text)
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, id: &str, expect: Option<&str>) {
        let path = format!("/v2/service_instances/{}", encode(id));
        let url = Base::parse(base).unwrap().join(&path, "a=b");
        assert_eq!(url.as_ref().map(Url::as_str), expect, "{base} {id}");
    }

    /// OSB-011, OSB-012
    #[test]
    fn prefixes_and_ids_are_joined_without_a_double_slash() {
        let plain = Some("http://h/v2/service_instances/i?a=b");
        check("http://h", "i", plain);
        check("http://h/", "i", plain);
        check("http://h:80/", "i", plain);
        check("http://h/pre/", "i", Some("http://h/pre/v2/service_instances/i?a=b"));
        check("http://h/pre/x", "i", Some("http://h/pre/x/v2/service_instances/i?a=b"));
        let id = "a b/c?d&é~";
        let encoded = "http://h/v2/service_instances/a%20b%2Fc%3Fd%26%C3%A9~?a=b";
        check("http://h", id, Some(encoded));
        check("http://h", ".", None);
        check("http://h", "..", None);
        check("http://h", "...", Some("http://h/v2/service_instances/...?a=b"));
    }

    #[test]
    fn an_unusable_url_is_refused() {
        let error = |text: &str| Base::parse(text).map(|_| ()).unwrap_err().to_string();
        assert_eq!(error("ftp://h"), ClientError::Scheme.to_string());
        assert_eq!(error("http://u:p@h"), ClientError::CredentialsInUrl.to_string());
        assert_eq!(error("http://h/?q"), ClientError::UrlTail.to_string());
        assert_eq!(error("h"), "the URL cannot be read");
    }
}
