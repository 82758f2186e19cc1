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
