//! What of a run reaches the disk (decision 38). Pure.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

const REDACTED: &str = "<redacted>";

/// Headers that carry a login.
const LOGINS: [&str; 5] =
    ["authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"];

/// Without the headers that carry a login.
pub(super) fn http_context(mut context: Map<String, Value>) -> Map<String, Value> {
    context.retain(|key, _| !LOGINS.contains(&key.to_ascii_lowercase().as_str()));
    context
}

/// Values of the call's secrets, blotted out.
pub(super) fn text(text: &str, values: &[Zeroizing<String>]) -> String {
    let mut text = text.to_owned();
    for value in values {
        if text.contains(value.as_str()) {
            text = text.replace(value.as_str(), REDACTED);
        }
    }
    text
}

pub(super) fn lines(lines: &[String], values: &[Zeroizing<String>]) -> Vec<String> {
    lines.iter().map(|line| text(line, values)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_secrets_and_login_headers_do_not_reach_the_disk() {
        let values = vec![Zeroizing::new("hunter2hunter2".to_owned())];
        assert_eq!(text("password=hunter2hunter2;", &values), "password=<redacted>;");
        let context = json!({"authorization": "x", "Cookie": "y", "method": "GET"});
        let Value::Object(context) = context else { panic!() };
        assert_eq!(Value::Object(http_context(context)), json!({"method": "GET"}));
    }
}
