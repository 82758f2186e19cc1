//! JSON schemas: of a plan's parameters, of a function's input and output. Foreign words: neither what they say nor
//! what they are held against may take more than its share of the server.

mod faults;
mod work;

use std::sync::Arc;

use bytes::Bytes;
use dispatch_api::Fault;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

pub use faults::distance;

/// A longer text is read and validated on a thread that may take its time.
const AT_ONCE_BYTES_MAX: usize = 16 << 10;
/// Tries of one pattern on one text.
const BACKTRACK_MAX: usize = 100_000;
/// What the server reads nests no deeper (serde_json).
const DEPTH_MAX: usize = 128;

/// A schema, ready to be held against values.
#[derive(Debug)]
pub struct Schema {
    text: Value,
    validator: Validator,
}

impl Schema {
    /// A schema without `$schema` is draft 4 (design §4); nothing outside it is ever fetched. The error is for people.
    pub fn new(text: &Value) -> Result<Self, String> {
        work::countable(text)?;
        let mut options = jsonschema::options()
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_MAX));
        if text.get("$schema").is_none() {
            options = options.with_draft(Draft::Draft4);
        }
        let validator = options.should_validate_formats(true).build(text);
        let validator = validator.map_err(|error| error.to_string())?;
        Ok(Self { text: text.clone(), validator })
    }

    /// `None` for no schema, and for one that is none (which was refused when the function was made).
    pub fn of_function(text: Option<&Value>) -> Option<Arc<Self>> {
        let text = text.filter(|text| text.as_object().is_some_and(|map| !map.is_empty()))?;
        Self::new(text).ok().map(Arc::new)
    }

    /// Everything that is wrong with a value. What is at or below the top-level members that `is_secret` likes is not
    /// quoted.
    pub fn faults(&self, value: &Value, is_secret: &dyn Fn(&str) -> bool) -> Vec<Fault> {
        if !work::is_affordable(&self.text, value) {
            let message = "takes more steps to check than are allowed: its schema refers to itself in too many ways";
            return vec![Fault { path: String::new(), message: message.to_owned() }];
        }
        faults::all(&self.validator, &self.text, value, is_secret)
    }

    /// The same for a text, which is JSON; an empty one is `null`. Must be called inside a tokio runtime.
    pub async fn faults_of(self: &Arc<Self>, text: &Bytes) -> Vec<Fault> {
        if text.len() <= AT_ONCE_BYTES_MAX {
            return self.read(text);
        }
        let (schema, text) = (Arc::clone(self), text.clone());
        let read = tokio::task::spawn_blocking(move || schema.read(&text));
        match read.await {
            Ok(faults) => faults,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    fn read(&self, text: &[u8]) -> Vec<Fault> {
        let text: &[u8] = if text.is_empty() { b"null" } else { text };
        match serde_json::from_slice(text) {
            Ok(value) => self.faults(&value, &|_| false),
            Err(_) => {
                let message = format!("cannot be checked: it nests deeper than {DEPTH_MAX} values");
                vec![Fault { path: String::new(), message }]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_without_a_version_is_draft_4_and_nothing_is_fetched() {
        let draft4 = json!({"type": "number", "minimum": 1, "exclusiveMinimum": true});
        let schema = Schema::new(&draft4).unwrap();
        let count = |value: Value| schema.faults(&value, &|_| false).len();
        assert_eq!((count(json!(1)), count(json!(2))), (1, 0));
        let draft2020 = "https://json-schema.org/draft/2020-12/schema";
        for what in [
            json!({"$ref": "http://127.0.0.1:1/schema.json"}),
            json!({"$schema": draft2020, "$dynamicRef": "#"}),
        ] {
            assert!(Schema::new(&what).is_err(), "{what}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_or_paid_for_does_not_pass() {
        let schema = Arc::new(Schema::new(&json!({"required": ["name"]})).unwrap());
        let check = async |text: String, expect: &str| {
            let faults = schema.faults_of(&Bytes::from(text)).await;
            let found: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
            assert!(found.len() == 1 && found.iter().all(|it| it.contains(expect)), "{found:?}");
        };
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
        check(deep, "nests deeper than 128").await;
        check("{}".to_owned(), "is required").await;
        check(format!("{{\"x\":\"{}\"}}", "y".repeat(AT_ONCE_BYTES_MAX)), "is required").await;
        let endless = Schema::new(&json!({"$ref": "#"})).unwrap();
        let found = endless.faults(&json!(1), &|_| false);
        let found: Vec<_> = found.iter().map(|fault| fault.message.as_str()).collect();
        assert!(found.len() == 1 && found[0].contains("more steps"), "{found:?}");
    }
}
