//! What of a call's context must not reach the disk with its run (decision 38). Pure.

use serde_json::Value;
use zeroize::Zeroizing;

const REDACTED: &str = "<redacted>";
/// Shorter values are too common to be blotted out of a text.
const BYTES_MIN: usize = 6;

/// What must not be stored: the texts, those within the documents, and each line of the ones with several; the longest
/// first, so that no part of one stays behind when another is blotted out of it.
pub fn values<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    documents: &[&Value],
) -> Vec<Zeroizing<String>> {
    let mut all: Vec<Zeroizing<String>> = Vec::new();
    let mut add = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|_| text.contains('\n'));
        all.extend(lines.chain([text]).map(|text| Zeroizing::new(text.to_owned())));
    };
    texts.into_iter().for_each(&mut add);
    let mut waiting = documents.to_vec();
    while let Some(value) = waiting.pop() {
        match value {
            Value::String(text) => add(text),
            Value::Number(number) => add(&number.to_string()),
            Value::Array(list) => waiting.extend(list),
            Value::Object(members) => waiting.extend(members.values()),
            Value::Null | Value::Bool(_) => {}
        }
    }
    all.retain(|text| text.len() >= BYTES_MIN);
    all.sort_by(|a, b| (b.len(), a.as_str()).cmp(&(a.len(), b.as_str())));
    all.dedup();
    all
}

/// Values of the call's secrets, blotted out.
pub fn text(text: &str, values: &[Zeroizing<String>]) -> String {
    let mut text = text.to_owned();
    for value in values {
        if text.contains(value.as_str()) {
            text = text.replace(value.as_str(), REDACTED);
        }
    }
    text
}

pub fn lines(lines: &[String], values: &[Zeroizing<String>]) -> Vec<String> {
    lines.iter().map(|line| text(line, values)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_do_not_reach_the_disk() {
        let values = vec![Zeroizing::new("hunter2hunter2".to_owned())];
        assert_eq!(text("password=hunter2hunter2;", &values), "password=<redacted>;");
    }

    #[test]
    fn neither_lines_nor_nested_values_nor_the_rest_of_a_longer_one_stay() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END KEY-----\n";
        let document = serde_json::json!({"admin": {"password": "deeply-hidden"}, "port": 54321});
        let all = values(["prefix", "prefix-and-tail", "short", key], &[&document]);
        let check = |given: &str, expect: &str| assert_eq!(text(given, &all), expect);
        check("prefix-and-tail prefix short", "<redacted> <redacted> short");
        check("deeply-hidden", "<redacted>");
        check("MIIEvQIBADAN", "<redacted>");
        assert_eq!(lines(&["BgkqhkiG9w0B".to_owned()], &all), ["<redacted>"]);
    }
}
