//! JSON schemas: of a plan's parameters, of a function's input and output. Foreign words: neither what they say nor
//! what they are held against may take more than its share of the server.

mod faults;
mod work;

use std::{cell::Cell, sync::Arc};

use bytes::Bytes;
use dispatch_api::Fault;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use faults::distance;

/// A longer text is read and validated on a thread that may take its time.
const AT_ONCE_BYTES_MAX: usize = 16 << 10;
/// Tries of one pattern on one text.
const BACKTRACK_MAX: usize = 100_000;
/// A compiled pattern, and what it may remember of texts, in bytes each.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Patterns of all schemas of one catalogue.
const CATALOG_PATTERNS_MAX: usize = 2_000;
/// Schemas that are compiled at one time, for whoever waits for an answer.
static TURNS: Semaphore = Semaphore::const_new(2);
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
    /// Its patterns may take some tenths of a second.
    pub fn new(text: &Value) -> Result<Self, String> {
        work::countable(text)?;
        let patterns = PatternOptions::fancy_regex()
            .backtrack_limit(BACKTRACK_MAX)
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX);
        let mut options = jsonschema::options().with_pattern_options(patterns);
        if text.get("$schema").is_none() {
            options = options.with_draft(Draft::Draft4);
        }
        let validator = options.should_validate_formats(true).build(text);
        let validator = validator.map_err(|error| error.to_string())?;
        Ok(Self { text: text.clone(), validator })
    }

    /// The same, on a thread that may take its time. Must be called inside a tokio runtime.
    pub async fn compiled(text: &Value) -> Result<Self, String> {
        let _turn = TURNS.acquire().await;
        let text = text.clone();
        let made = tokio::task::spawn_blocking(move || Self::new(&text));
        made.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
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

/// Whether the schemas of a catalogue can be used, one after the other: all of them together are bounded, too.
#[derive(Debug)]
pub struct CatalogSchemas {
    patterns: Cell<usize>,
    stopping: CancellationToken,
}

impl CatalogSchemas {
    pub const fn new(stopping: CancellationToken) -> Self {
        Self { patterns: Cell::new(0), stopping }
    }

    /// `Err`: why not, for people.
    pub fn check(&self, text: &Value) -> Result<(), String> {
        if self.stopping.is_cancelled() {
            return Err("the server is stopping".to_owned());
        }
        let patterns = self.patterns.get() + work::countable(text)?;
        if patterns > CATALOG_PATTERNS_MAX {
            return Err(format!("the catalogue has more than {CATALOG_PATTERNS_MAX} patterns"));
        }
        self.patterns.set(patterns);
        Schema::new(text).map(drop)
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

    #[test]
    fn patterns_are_bounded_in_size_number_and_length() {
        let with = |patterns: Vec<String>| {
            let members = patterns.into_iter().enumerate();
            let members = members.map(|(n, one)| (format!("m{n}"), json!({"pattern": one})));
            Schema::new(&json!({"properties": members.collect::<serde_json::Map<_, _>>()}))
        };
        let ordinary = [
            r"^[\w-]{1,255}$",
            r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$",
            r"^(?!aws)[a-zA-Z0-9._-]{3,128}$",
            r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$",
            r"^[^@\s]{1,64}@[^@\s]{1,255}$",
        ];
        with(ordinary.map(str::to_owned).to_vec()).unwrap();
        let large = with(vec![r"(?=a)\w{500}|x(?!b)".to_owned()]).unwrap_err();
        assert!(large.contains("is not a \"regex\""), "{large}");
        let pattern = |length: usize| "x".repeat(length);
        with(vec![pattern(80); 50]).unwrap();
        let many = with(vec![pattern(1); 51]).unwrap_err();
        assert_eq!(many, "it has more than 50 patterns");
        let looks = |count: usize| vec!["(?=a)".repeat(count) + "x"];
        with(looks(20)).unwrap();
        let many = with(looks(21)).unwrap_err();
        assert_eq!(many, "its patterns look around in more than 20 places");
        with(vec![pattern(4096)]).unwrap();
        let long = with(vec![pattern(4096), pattern(1)]).unwrap_err();
        assert_eq!(long, "its patterns are longer than 4096 bytes together");
        let named = json!({"patternProperties": {pattern(4097): true}});
        assert!(Schema::new(&named).unwrap_err().contains("longer than 4096"));
        // A member of this name, and data, are no patterns.
        let other = json!({"properties": {"pattern": {"enum": [pattern(5000)]}}, "default": {"pattern": pattern(5000)}});
        Schema::new(&other).unwrap();
    }

    #[test]
    fn the_schemas_of_a_catalogue_are_bounded_together_and_end_with_the_server() {
        let stopping = CancellationToken::new();
        let all = CatalogSchemas::new(stopping.clone());
        let members = |count: usize| -> serde_json::Map<String, Value> {
            (0..count).map(|n| (format!("m{n}"), json!({"pattern": "x"}))).collect()
        };
        let one = json!({"properties": members(50)});
        for _ in 0..40 {
            all.check(&one).unwrap();
        }
        let more = all.check(&json!({"pattern": "x"})).unwrap_err();
        assert_eq!(more, "the catalogue has more than 2000 patterns");
        all.check(&json!({})).unwrap();
        stopping.cancel();
        assert_eq!(all.check(&json!({})).unwrap_err(), "the server is stopping");
    }
}
