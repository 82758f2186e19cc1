//! What a JSON schema of parameters says to a person. It validates nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::output::clean;

/// One property of the schema, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    /// `integer, 1–64`, `list of strings`.
    pub kind: String,
    /// The default as JSON, or `required`.
    pub default: String,
    pub meaning: String,
}

/// The broker said nothing of parameters.
pub fn is_silent(schema: &Value) -> bool {
    schema.as_object().is_none_or(Map::is_empty)
}

pub fn parameters(schema: &Value) -> Vec<Parameter> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let one = |(name, property): (&String, &Value)| Parameter {
        name: clean::line(name),
        kind: clean::line(&kind(property)),
        default: clean::line(&default(property, is_required(schema, name))),
        meaning: clean::line(&meaning(property)),
    };
    properties.into_iter().flatten().map(one).collect()
}

/// Values that a person could start from: everything required, else the first parameter that says something: a list
/// would be an empty one.
pub fn example(schema: &Value) -> BTreeMap<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let all: Vec<(&String, &Value)> = properties.into_iter().flatten().collect();
    let required = all.iter().filter(|(name, _)| is_required(schema, name));
    let mut chosen: Vec<_> = required.copied().collect();
    if chosen.is_empty() {
        let is_list = |property: &Value| property.get("type").is_some_and(|kind| kind == "array");
        chosen.extend(all.iter().find(|(_, property)| !is_list(property)).or(all.first()));
    }
    chosen.into_iter().map(|(name, property)| (name.clone(), value(property))).collect()
}

fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|required| required == name))
}

fn kind(property: &Value) -> String {
    let text = match property.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ if property.get("enum").is_some() => "value".to_owned(),
        _ => "anything".to_owned(),
    };
    if text == "array" {
        let of = property.get("items").map(kind).unwrap_or_default();
        return if of.is_empty() { "list".to_owned() } else { format!("list of {of}s") };
    }
    match range(property) {
        Some(range) => format!("{text}, {range}"),
        None => text,
    }
}

/// `1–64`, `at least 1`, `at most 64`.
fn range(property: &Value) -> Option<String> {
    match (property.get("minimum"), property.get("maximum")) {
        (Some(least), Some(most)) => Some(format!("{least}–{most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    }
}

fn default(property: &Value, required: bool) -> String {
    match property.get("default") {
        Some(value) => value.to_string(),
        None if required => "required".to_owned(),
        None => String::new(),
    }
}

fn meaning(property: &Value) -> String {
    let text = |key: &str| property.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut parts: Vec<String> =
        text("description").or_else(|| text("title")).into_iter().collect();
    let choices = |of: &Value| {
        let values = of.get("enum")?.as_array()?;
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(values.iter().map(word).collect::<Vec<_>>().join(", "))
    };
    if let Some(choices) = choices(property) {
        parts.push(format!("one of {choices}"));
    } else if let Some(choices) = property.get("items").and_then(choices) {
        parts.push(format!("one or more of {choices}"));
    }
    parts.join("; ")
}

fn value(property: &Value) -> Value {
    let first_choice = || property.get("enum").and_then(|choices| choices.get(0)).cloned();
    let given = property.get("default").cloned().or_else(first_choice);
    given.or_else(|| property.get("minimum").cloned()).unwrap_or_else(|| {
        match property.get("type").and_then(Value::as_str) {
            Some("integer" | "number") => Value::from(1),
            Some("boolean") => Value::from(true),
            Some("array") => Value::Array(Vec::new()),
            Some("object") => Value::Object(Map::new()),
            _ => Value::from("…"),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_property_is_told_in_words() {
        let check = |property: Value, expect: [&str; 3]| {
            let schema = json!({"properties": {"p": property}, "required": ["p"]});
            let parameter = parameters(&schema).remove(0);
            assert_eq!([parameter.kind, parameter.default, parameter.meaning], expect);
        };
        check(json!({"type": "integer", "minimum": 1}), ["integer, at least 1", "required", ""]);
        check(json!({"type": "number", "maximum": 2.5}), ["number, at most 2.5", "required", ""]);
        check(json!({"type": ["string", "null"], "default": null}), ["string or null", "null", ""]);
        check(json!({"enum": ["a", 1]}), ["value", "required", "one of a, 1"]);
        check(json!({"type": "array"}), ["list", "required", ""]);
        check(json!({"title": "T"}), ["anything", "required", "T"]);
        check(json!(true), ["anything", "required", ""]);
    }

    #[test]
    fn an_example_holds_what_is_required_or_else_one_value() {
        let check = |schema: Value, expect: Value| assert_eq!(json!(example(&schema)), expect);
        check(json!({}), json!({}));
        check(json!({"properties": {"b": {"type": "boolean"}, "c": {}}}), json!({"b": true}));
        let (list, number) = (json!({"type": "array", "default": []}), json!({"default": 1}));
        check(json!({"properties": {"a": list, "b": number}}), json!({"b": 1}));
        check(json!({"properties": {"a": list}}), json!({"a": []}));
        check(
            json!({"properties": {"a": {}, "b": {"enum": ["x"]}, "c": {"minimum": 3}}, "required": ["b", "c"]}),
            json!({"b": "x", "c": 3}),
        );
    }
}
