//! Schemas of parameters: what can be said without a validator, and then what whoever has one says (OSB-042).

use serde_json::Value;

use super::SchemaCheck;
use crate::{json::kind, text::clean};

/// The longest schema, in bytes of its compact JSON.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// The drafts of JSON Schema that `$schema` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Draft {
    Draft4,
    Draft6,
    Draft7,
    Draft201909,
    Draft202012,
}

/// The draft of a schema: that of its `$schema`, draft 4 without one, `None` if it is unknown.
pub fn draft_of(schema: &Value) -> Option<Draft> {
    let Some(name) = schema.get("$schema") else { return Some(Draft::Draft4) };
    let name = name.as_str()?.trim_end_matches('#');
    let name = name.strip_prefix("http://").or_else(|| name.strip_prefix("https://"))?;
    match name {
        "json-schema.org/draft-04/schema" | "json-schema.org/schema" => Some(Draft::Draft4),
        "json-schema.org/draft-06/schema" => Some(Draft::Draft6),
        "json-schema.org/draft-07/schema" => Some(Draft::Draft7),
        "json-schema.org/draft/2019-09/schema" => Some(Draft::Draft201909),
        "json-schema.org/draft/2020-12/schema" => Some(Draft::Draft202012),
        _ => None,
    }
}

/// The most that is said of why a schema cannot be used, in characters: it may quote the schema.
const MAX_REASON_CHARS: usize = 200;

/// Why a schema cannot be used, or else what should be said about it.
pub(super) fn check(
    schema: &Value,
    usable: SchemaCheck<'_>,
) -> Result<Option<&'static str>, String> {
    if !schema.is_object() {
        return Err(format!("is {}, not an object", kind(schema)));
    }
    if schema.to_string().len() > MAX_SCHEMA_BYTES {
        return Err(format!("is longer than {} kB", MAX_SCHEMA_BYTES / 1024));
    }
    if draft_of(schema).is_none() {
        return Err("names a $schema that is not known".to_owned());
    }
    if refers_outside(schema) {
        return Err("refers to another document with $ref".to_owned());
    }
    usable(schema).map_err(|why| format!("cannot be used: {}", clean(&why, MAX_REASON_CHARS)))?;
    Ok(schema.get("$schema").is_none().then_some("has no $schema; draft 4 is assumed"))
}

/// Whether anything refers to what is not in the schema itself.
fn refers_outside(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().any(refers_outside),
        Value::Object(object) => object.iter().any(|(key, value)| match (key.as_str(), value) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                !target.starts_with('#')
            }
            // Data, in which a reference is only a text.
            ("enum" | "const" | "default" | "examples" | "example", _) => false,
            (_, value) => refers_outside(value),
        }),
        _ => false,
    }
}
