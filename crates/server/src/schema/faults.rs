//! What is wrong with a value: all faults at once, in words for people.

use dispatch_api::Fault;
use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};

/// At most this many faults are listed.
const FAULTS_MAX: usize = 50;
/// A longer message quotes too much.
const MESSAGE_BYTES_MAX: usize = 200;
/// Longer names are not compared with others.
const COMPARED_BYTES_MAX: usize = 64;

/// In the order of the schema.
pub(super) fn all(
    validator: &Validator,
    schema: &Value,
    value: &Value,
    is_secret: &dyn Fn(&str) -> bool,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let has_secrets = value.as_object().is_some_and(|all| all.keys().any(|key| is_secret(key)));
    for error in validator.iter_errors(value) {
        let place = error.instance_path().to_string();
        let top = place.split('/').nth(1).map(|name| name.replace("~1", "/").replace("~0", "~"));
        let hidden = top.map_or(has_secrets, |name| is_secret(&name));
        describe(&error, (schema, value), hidden, &mut faults);
        if faults.len() >= FAULTS_MAX {
            break;
        }
    }
    faults
}

fn describe(
    error: &ValidationError<'_>,
    (schema, value): (&Value, &Value),
    hidden: bool,
    faults: &mut Vec<Fault>,
) {
    let place = error.instance_path().to_string();
    let room = FAULTS_MAX.saturating_sub(faults.len());
    let mut fault = |path: String, message: String| faults.push(Fault { path, message });
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            fault(format!("{place}/{name}"), "is required".to_owned());
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            for name in unexpected.iter().take(room) {
                let meant = nearest(name, schema, &place);
                let meant = meant.map_or(String::new(), |near| format!("; did you mean {near}?"));
                fault(format!("{place}/{name}"), format!("unknown{meant}"));
            }
        }
        // So the validator says it of the first member, where the schema names none at all.
        ValidationErrorKind::FalseSchema if of_members(error) => {
            let members = value.pointer(&place).and_then(Value::as_object);
            for name in members.into_iter().flat_map(Map::keys).take(room) {
                fault(format!("{place}/{name}"), "unknown".to_owned());
            }
        }
        ValidationErrorKind::Type { .. } => {
            let wanted = wanted_type(error);
            let meaning = meaning(schema, error);
            let what = if hidden { "it".to_owned() } else { short(error.instance()) };
            fault(place, format!("{what} is not {wanted}{meaning}"));
        }
        _ => {
            let whole = (!hidden).then(|| error.to_string());
            let text = whole.filter(|text| text.len() <= MESSAGE_BYTES_MAX);
            fault(place, text.unwrap_or_else(|| cut(&error.masked_with("it").to_string())));
        }
    }
}

fn of_members(error: &ValidationError<'_>) -> bool {
    error.schema_path().to_string().ends_with("/additionalProperties")
}

/// At most [`MESSAGE_BYTES_MAX`] characters.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_BYTES_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// `a string`, `an integer`, `a string or null`.
fn wanted_type(error: &ValidationError<'_>) -> String {
    let ValidationErrorKind::Type { kind } = error.kind() else { return String::new() };
    let text = match kind {
        jsonschema::error::TypeKind::Single(one) => one.to_string(),
        jsonschema::error::TypeKind::Multiple(several) => {
            several.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" or ")
        }
    };
    let vowel = text.starts_with(['a', 'e', 'i', 'o', 'u']);
    if text == "null" { text } else { format!("{} {text}", if vowel { "an" } else { "a" }) }
}

/// The description that the schema gives where the fault is, if it does.
fn meaning(schema: &Value, error: &ValidationError<'_>) -> String {
    let mut here = schema;
    for segment in error.instance_path().to_string().split('/').filter(|s| !s.is_empty()) {
        match here.get("properties").and_then(|properties| properties.get(segment)) {
            Some(inner) => here = inner,
            None => return String::new(),
        }
    }
    let text = here.get("description").and_then(Value::as_str);
    text.map_or(String::new(), |text| format!("; {text}"))
}

/// A JSON value as shown to people: at most 60 characters.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        None => text,
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

fn nearest(name: &str, schema: &Value, place: &str) -> Option<String> {
    let mut here = schema;
    for segment in place.split('/').filter(|segment| !segment.is_empty()) {
        here = here.get("properties")?.get(segment)?;
    }
    let known = here.get("properties")?.as_object()?;
    let comparable = |text: &str| text.len() <= COMPARED_BYTES_MAX;
    if !comparable(name) {
        return None;
    }
    let near =
        known.keys().filter(|key| comparable(key)).map(|key| (distance(name, key), key)).min()?;
    (near.0 <= 2).then(|| format!("{place}/{}", near.1))
}

/// Edits between two short texts (Levenshtein).
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut before = i;
        let mut next = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let beside = next.last().copied().unwrap_or(usize::MAX - 1);
            let change = before + usize::from(left != *right);
            next.push(change.min(above + 1).min(beside + 1));
            before = above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::Schema;

    #[test]
    fn all_faults_are_told_at_once_in_words() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["size"],
            "properties": {
                "storage": {"type": "integer", "minimum": 1, "description": "GiB from 1 to 64"},
                "size": {"enum": ["s", "l"]}
            }
        });
        let check = |value: Value, expect: &[(&str, &str)]| {
            let compiled = Schema::new(&schema).unwrap();
            let mut found: Vec<(String, String)> = compiled
                .faults(&value, &|_| false)
                .into_iter()
                .map(|fault| (fault.path, fault.message))
                .collect();
            found.sort();
            let found: Vec<(&str, &str)> =
                found.iter().map(|(path, message)| (path.as_str(), message.as_str())).collect();
            assert_eq!(found, expect, "{value}");
        };
        check(json!({"size": "s", "storage": 4}), &[]);
        check(
            json!({"storage": "10GB", "storge": 3}),
            &[
                ("/size", "is required"),
                ("/storage", "\"10GB\" is not an integer; GiB from 1 to 64"),
                ("/storge", "unknown; did you mean /storage?"),
            ],
        );
        check(json!({"size": "x"}), &[("/size", "\"x\" is not one of \"s\" or \"l\"")]);
    }

    #[test]
    fn every_member_is_unknown_where_none_is_named() {
        let check = |schema: Value, value: Value, expect: &[&str]| {
            let found = Schema::new(&schema).unwrap().faults(&value, &|_| false);
            assert!(found.iter().all(|fault| fault.message == "unknown"), "{found:?}");
            let paths: Vec<&str> = found.iter().map(|fault| fault.path.as_str()).collect();
            assert_eq!(paths, expect, "{schema}");
        };
        let none = json!({"additionalProperties": false});
        check(none.clone(), json!({"a": 1, "b": 2}), &["/a", "/b"]);
        check(none.clone(), json!({}), &[]);
        let inner = json!({"properties": {"in": none}});
        check(inner, json!({"in": {"a": 1, "b": 2}, "out": 3}), &["/in/a", "/in/b"]);
    }

    #[test]
    fn fifty_faults_are_told_and_not_one_more() {
        let found = |schema: Value, names: usize| {
            let value: serde_json::Map<_, _> =
                (0..names).map(|n| (format!("n{n}"), json!(n))).collect();
            Schema::new(&schema).unwrap().faults(&value.into(), &|_| false).len()
        };
        // One error of the validator that names them all, and an error for each.
        for schema in [json!(false), json!({"type": "string"})] {
            let unknown = json!({
                "required": ["a", "b"], "properties": {"a": {}}, "additionalProperties": schema,
            });
            for (names, expect) in [(0, 2), (FAULTS_MAX - 2, FAULTS_MAX), (1_000, FAULTS_MAX)] {
                assert_eq!(found(unknown.clone(), names), expect, "{unknown} {names}");
            }
        }
    }

    #[test]
    fn values_of_secrets_are_not_quoted() {
        let schema = json!({
            "properties": {
                "token": {"pattern": "^[0-9]+$"},
                "pin": {"type": "integer"},
                "a/b~c": {"type": "integer"},
                "open": {"enum": ["a"]}
            },
            "minProperties": 9
        });
        let value = json!({"token": "HUNTER2", "pin": "HUNTER2", "a/b~c": "HUNTER2", "open": "b"});
        let compiled = Schema::new(&schema).unwrap();
        let text = format!(
            "{:?}",
            compiled.faults(&value, &|key| ["token", "pin", "a/b~c"].contains(&key))
        );
        assert!(!text.contains("HUNTER2") && text.contains("\\\"b\\\""), "{text}");
        let all = compiled.faults(&value, &|_| false);
        assert!(format!("{all:?}").contains("HUNTER2"));
        let large = compiled.faults(&json!({"open": "b".repeat(100_000)}), &|_| false);
        assert!(large.iter().all(|fault| fault.message.len() < 1_000), "{large:?}");
    }
}
