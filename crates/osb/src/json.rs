//! Reading JSON from a stranger: bounded in depth, and never quoted in an error.

use serde_json::Value;

/// Reads a JSON text whose arrays and objects are nested at most `depth` deep.
///
/// The error says what is wrong and where, without quoting the text.
pub(crate) fn read(bytes: &[u8], depth: usize) -> Result<Value, String> {
    if nesting(bytes) > depth {
        return Err(format!("its JSON is nested deeper than {depth}"));
    }
    serde_json::from_slice(bytes).map_err(|error| match bytes.is_empty() {
        true => "it is empty".to_owned(),
        false => format!("it is not JSON (line {} column {})", error.line(), error.column()),
    })
}

/// How deep arrays and objects are nested, by a scan that allocates nothing.
fn nesting(bytes: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                open += 1;
                deepest = deepest.max(open);
            }
            (false, b'}' | b']') => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// What kind of JSON value it is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OSB-014: bounded at 64, not at 63 or 65; brackets in strings do not count.
    #[test]
    fn depth_is_bounded() {
        for (deep, good) in [(63, true), (64, true), (65, false)] {
            let text = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
            assert_eq!(read(text.as_bytes(), 64).is_ok(), good, "{deep}");
        }
        assert_eq!(nesting(br#"{"a\"[[[":[{"b":"[\\"}]}"#), 3);
        assert!(read(&[b'['; 1_000_000], 64).is_err());
    }

    #[test]
    fn an_error_never_quotes_the_text() {
        let error = read(br#"{"password": hush}"#, 64).unwrap_err();
        assert!(!error.contains("hush"), "{error}");
        assert_eq!(read(b"", 64).unwrap_err(), "it is empty");
    }
}
