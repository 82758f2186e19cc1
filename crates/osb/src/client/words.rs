//! What of a failing answer is shown to people (OSB-014, OSB-016; never a body as it came).

use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::classify::Answer;
use super::outcome::Refusal;
use crate::json;
use crate::text::clean;
use crate::types::ErrorCode;

/// The longest description that is shown, in characters.
const MAX_DESCRIPTION_CHARS: usize = 1_000;
/// The longest code that is kept, in characters.
const MAX_CODE_CHARS: usize = 100;
/// The deepest JSON of a failing answer that is looked at.
const MAX_ERROR_DEPTH: usize = 64;
/// The longest `Retry-After` that is believed; longer ones are cut to it (OSB-103).
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// A failing answer as a refusal.
pub(super) fn refusal(answer: &Answer) -> Refusal {
    let body = error_body(answer);
    let text = |name: &str, most| {
        let body = body.as_ref()?;
        let value = body.get(name).or_else(|| body.get(&capitalised(name)))?;
        let text = clean(value.as_str()?, most);
        (!text.is_empty()).then_some(text)
    };
    let flag = |name: &str| body.as_ref().and_then(|body| body.get(name)?.as_bool());
    let code = text("error", MAX_CODE_CHARS);
    let description = text("description", MAX_DESCRIPTION_CHARS);
    let status = answer.status;
    let description = description.unwrap_or_else(|| match (&code, &body) {
        (Some(code), _) => format!("HTTP {status} {code}, without a description"),
        (None, Some(_)) => format!("HTTP {status} without a description"),
        (None, None) => format!("HTTP {status} with {}", what(answer)),
    });
    Refusal {
        status,
        code: code.map(ErrorCode::from),
        description,
        instance_usable: flag("instance_usable").unwrap_or(true),
        update_repeatable: flag("update_repeatable").unwrap_or(true),
    }
}

/// A body by its size and type, for a message.
pub(super) fn what(answer: &Answer) -> String {
    match &answer.body {
        Err(reason) => format!("a body that cannot be read: {reason}"),
        Ok(body) if body.is_empty() => "an empty body".to_owned(),
        Ok(body) => {
            let given = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let media = given.map(|text| text.split(';').next().unwrap_or_default().trim());
            let media = media.filter(|text| is_media_type(text)).unwrap_or("unknown type");
            format!("{} bytes of {media}", body.len())
        }
    }
}

/// A description of a broker, cleaned; `None` when nothing is left.
pub(super) fn description(text: Option<&str>) -> Option<String> {
    let text = clean(text?, MAX_DESCRIPTION_CHARS);
    (!text.is_empty()).then_some(text)
}

/// `Retry-After`: seconds, or a date as far after the answer's own `Date`. Garbage is no wish.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wish = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long time.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let now = http_date(headers.get(DATE)?.to_str().ok()?)?;
        let seconds = http_date(text)?.as_second().saturating_sub(now.as_second());
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    };
    Some(wish.min(MAX_RETRY_AFTER))
}

fn http_date(text: &str) -> Option<Timestamp> {
    let read = strtime::parse("%a, %d %b %Y %H:%M:%S GMT", text.trim()).ok()?;
    let civil = read.to_datetime().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn error_body(answer: &Answer) -> Option<Map<String, Value>> {
    match json::read(answer.body.as_ref().ok()?, MAX_ERROR_DEPTH) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// Some brokers write the names with a capital (OSB-016).
fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

fn is_media_type(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"/+-._".contains(&b);
    (1..=64).contains(&text.len()) && text.contains('/') && text.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    fn described(body: &str, content_type: Option<&'static str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(media) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        }
        let body = Ok(Bytes::copy_from_slice(body.as_bytes()));
        refusal(&Answer { status: 400, headers, body }).description
    }

    #[track_caller]
    fn check(body: &str, content_type: Option<&'static str>, expect: &str) {
        assert_eq!(described(body, content_type), expect, "{body}");
    }

    /// OSB-014, OSB-016
    #[test]
    fn a_description_is_the_brokers_or_names_what_came() {
        let html = "<html>password=hush</html>";
        let json = Some("application/json");
        check(r#"{"description":"No\u0007 disk\nleft"}"#, None, "No disk left");
        check(r#"{"Error":"X","Description":"Quota"}"#, None, "Quota");
        check(r#"{"error":"X"}"#, None, "HTTP 400 X, without a description");
        check(r#"{"description":null}"#, None, "HTTP 400 without a description");
        check(r#"{"description":{"a":"hush"}}"#, None, "HTTP 400 without a description");
        check("", None, "HTTP 400 with an empty body");
        check(html, Some("text/html; charset=utf-8"), "HTTP 400 with 26 bytes of text/html");
        check(html, Some("a b\"c"), "HTTP 400 with 26 bytes of unknown type");
        check(r#"["hush"]"#, json, "HTTP 400 with 8 bytes of application/json");
        check(r#"{"description":"\u202ekcab\u202c \u2028x"}"#, None, "kcab  x");
        for length in [1_000, 1_001] {
            let body = format!(r#"{{"description":"{}"}}"#, "é".repeat(length));
            assert_eq!(described(&body, None).chars().count(), 1_000);
        }
    }

    /// OSB-016: a code in either case, and a description that is not one.
    #[test]
    fn a_code_is_read_in_both_spellings() {
        for body in [r#"{"error":"RequiresApp"}"#, r#"{"Error":"RequiresApp"}"#] {
            let body = Ok(Bytes::from(body.to_owned()));
            let refusal = refusal(&Answer { status: 422, headers: HeaderMap::new(), body });
            assert_eq!(refusal.code, Some(ErrorCode::RequiresApp));
        }
    }

    fn wait(value: &'static str, date: Option<&'static str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        retry_after(&headers).map(|after| after.as_secs())
    }

    /// OSB-103
    #[test]
    fn retry_after_is_seconds_or_a_date_and_garbage_is_ignored() {
        let now = Some("Fri, 20 Nov 2026 10:00:00 GMT");
        assert_eq!(wait("3", None), Some(3));
        assert_eq!(wait("0", None), Some(0));
        assert_eq!(wait("3600", None), Some(3_600));
        assert_eq!(wait("3601", None), Some(3_600));
        assert_eq!(wait("99999999999999999999999", None), Some(3_600));
        assert_eq!(wait("Fri, 20 Nov 2026 10:00:07 GMT", now), Some(7));
        assert_eq!(wait("Fri, 20 Nov 2026 09:00:00 GMT", now), Some(0));
        assert_eq!(wait("Fri, 20 Nov 2026 10:00:07 GMT", None), None);
        for garbage in ["soon", "-1", "1.5", "", "Fri, 99 Nov 2026 10:00:00 GMT"] {
            assert_eq!(wait(garbage, now), None, "{garbage}");
        }
    }
}
