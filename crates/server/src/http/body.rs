//! A request's body as JSON of a shape, or what is wrong with it and where, in words for whoever sent it.

use dispatch_api::Fault;
use dispatch_model::ErrorCode;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use super::ApiError;

/// The words of v0.1.22 (contract §1.3), and the place.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let text = body.trim_ascii();
    // As in v0.1.22, where every member is missing then.
    let text = if text == b"null" { b"{}" } else { text };
    // A list would do for the derived readers, with its values in the order of our source.
    if text.starts_with(b"[") {
        return Err(malformed("", "it is a list, and an object is expected"));
    }
    serde_json::from_slice(text).map_err(|_| {
        let reader = &mut serde_json::Deserializer::from_slice(text);
        match serde_path_to_error::deserialize::<_, T>(reader) {
            Err(error) => malformed(&pointer(error.path()), &words(&error.inner().to_string())),
            // What comes after a whole value.
            Ok(_) => malformed("", "something follows the object"),
        }
    })
}

fn malformed(path: &str, why: &str) -> ApiError {
    let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
    let message = format!("parsing body body from \"\" failed, because {place}{why}");
    let error = ApiError::new(ErrorCode::MalformedBody, message);
    if path.is_empty() {
        return error;
    }
    error.with_faults(vec![Fault { path: path.to_owned(), message: why.to_owned() }])
}

/// As a JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let one = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(one).collect()
}

/// The reader's words without the names of our types, and without what was sent: it may be a secret's value.
fn words(text: &str) -> String {
    let Some((_, expected)) = text.rsplit_once(", expected ") else { return text.to_owned() };
    let ours = ["struct ", "internally tagged enum ", "enum "];
    let place = expected.find(" at line ").and_then(|at| expected.get(at..)).unwrap_or_default();
    match ours.iter().any(|kind| expected.starts_with(kind)) {
        true => format!("an object is expected{place}"),
        false => format!("{} is expected{place}", expected.strip_suffix(place).unwrap_or(expected)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only its reading counts")]
    struct Thing {
        name: String,
        inner: Option<Inner>,
        map: Option<BTreeMap<String, Vec<u8>>>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only its reading counts")]
    struct Inner {
        flag: bool,
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_without_our_names() {
        let check = |body: &str, expect: &str| {
            let message = parse::<Thing>(body.as_bytes()).unwrap_err().message;
            let expect = format!("parsing body body from \"\" failed, because {expect}");
            assert_eq!(message, expect, "{body}");
        };
        check(r#"["n"]"#, "it is a list, and an object is expected");
        check(r#"{"name": 5}"#, "/name: a string is expected at line 1 column 10");
        check(
            r#"{"name": "n", "map": {"a/b": [1, "x"]}}"#,
            "/map/a~1b/1: u8 is expected at line 1 column 36",
        );
        check(r#"{"name": "n", "inner": 7}"#, "/inner: an object is expected at line 1 column 24");
        check("7", "an object is expected at line 1 column 1");
        check(r#"{"name": "n"} {}"#, "something follows the object");
        check("{", "EOF while parsing an object at line 1 column 1");
        check("null", "missing field `name` at line 1 column 2");
        assert!(parse::<Thing>(br#" {"name": "n"} "#).is_ok());
    }
}
