//! JSON schemas: of a plan's parameters, of a function's input and output. All faults at once, in words for people.

use dispatch_api::Fault;
use jsonschema::{Draft, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;

/// At most this many faults are listed.
const FAULTS_MAX: usize = 50;

/// A schema without `$schema` is draft 4 (design §4); nothing outside it is ever fetched.
pub fn compile(schema: &Value) -> Result<Validator, String> {
    let mut options = jsonschema::options();
    if schema.get("$schema").is_none() {
        options = options.with_draft(Draft::Draft4);
    }
    options.should_validate_formats(true).build(schema).map_err(|error| error.to_string())
}

/// Everything that is wrong with a value.
pub fn faults(validator: &Validator, schema: &Value, value: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    for error in validator.iter_errors(value) {
        describe(&error, schema, &mut faults);
        if faults.len() >= FAULTS_MAX {
            break;
        }
    }
    faults
}

fn describe(error: &ValidationError<'_>, schema: &Value, faults: &mut Vec<Fault>) {
    let place = error.instance_path().to_string();
    let mut fault = |path: String, message: String| faults.push(Fault { path, message });
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            fault(format!("{place}/{name}"), "is required".to_owned());
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            for name in unexpected {
                let meant = nearest(name, schema, &place);
                let meant = meant.map_or(String::new(), |near| format!("; did you mean {near}?"));
                fault(format!("{place}/{name}"), format!("unknown{meant}"));
            }
        }
        ValidationErrorKind::Type { .. } => {
            let wanted = wanted_type(error);
            let meaning = meaning(schema, error);
            fault(place, format!("{} is not {wanted}{meaning}", short(error.instance())));
        }
        _ => {
            let text = error.to_string();
            fault(place, text);
        }
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
    let near = known.keys().map(|key| (distance(name, key), key)).min()?;
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
            let compiled = compile(&schema).unwrap();
            let mut found: Vec<(String, String)> = faults(&compiled, &schema, &value)
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
    fn a_schema_without_a_version_is_draft_4_and_nothing_is_fetched() {
        let draft4 = json!({"type": "number", "minimum": 1, "exclusiveMinimum": true});
        let compiled = compile(&draft4).unwrap();
        assert!(!compiled.is_valid(&json!(1)) && compiled.is_valid(&json!(2)));
        assert!(compile(&json!({"$ref": "http://127.0.0.1:1/schema.json"})).is_err());
    }
}
