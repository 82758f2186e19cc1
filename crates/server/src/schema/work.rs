//! How much work a schema makes of a value. Pure.
//!
//! A schema may refer to itself, and a few lines of it can then stand for more steps than there are seconds. Whoever
//! writes one, a broker or a developer, must not be able to stop the server with it: so the steps are counted, by a walk
//! over schema and value together, before anything is validated.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Steps that are always allowed.
const STEPS_BASE: usize = 100_000;
/// And this many for each value within the value.
const STEPS_PER_VALUE: usize = 8;
/// Schemas within each other on the way to one value.
const DEPTH_MAX: usize = 400;

/// Patterns of a schema, and their bytes together: each of them is compiled, which is work before any value is there.
const PATTERNS_MAX: usize = 50;
const PATTERN_TEXT_BYTES_MAX: usize = 4096;
/// Groups that look around: each cuts its pattern into parts that are compiled one by one.
const LOOKS_MAX: usize = 20;

/// What holds values and no schemas.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];
/// A schema for the same value.
const IN_PLACE: [&str; 4] = ["not", "if", "then", "else"];
/// Lists of schemas for the same value.
const IN_PLACE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Schemas by name for the same value.
const IN_PLACE_MAPS: [&str; 2] = ["dependencies", "dependentSchemas"];
/// A schema for every member.
const FOR_MEMBERS: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];
/// A schema for every element.
const FOR_ELEMENTS: [&str; 4] = ["items", "additionalItems", "unevaluatedItems", "contains"];
/// A schema for each element in its place.
const BY_PLACE: [&str; 2] = ["items", "prefixItems"];

/// How many patterns a schema has, if it uses only what can be counted. `Err`: what it uses, for people.
pub(super) fn countable(root: &Value) -> Result<usize, String> {
    let mut waiting = vec![root];
    let (mut patterns, mut bytes, mut looks) = (0, 0, 0);
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(members) => {
                for (key, inner) in members.iter().filter(|(key, _)| !DATA.contains(&key.as_str()))
                {
                    let is_root = std::ptr::eq(value, root);
                    uncountable(root, key, inner, is_root).map_or(Ok(()), Err)?;
                    for pattern in patterns_of(key, inner) {
                        patterns += 1;
                        bytes += pattern.len();
                        looks += ["(?=", "(?!", "(?<"]
                            .map(|look| pattern.matches(look).count())
                            .iter()
                            .sum::<usize>();
                    }
                    waiting.push(inner);
                }
            }
            Value::Array(elements) => waiting.extend(elements),
            _ => {}
        }
    }
    if patterns > PATTERNS_MAX {
        return Err(format!("it has more than {PATTERNS_MAX} patterns"));
    }
    if bytes > PATTERN_TEXT_BYTES_MAX {
        return Err(format!(
            "its patterns are longer than {PATTERN_TEXT_BYTES_MAX} bytes together"
        ));
    }
    if looks > LOOKS_MAX {
        return Err(format!("its patterns look around in more than {LOOKS_MAX} places"));
    }
    Ok(patterns)
}

/// The patterns that a keyword holds, if it is one that does.
fn patterns_of<'s>(key: &str, value: &'s Value) -> Vec<&'s str> {
    match (key, value) {
        ("pattern", Value::String(pattern)) => vec![pattern],
        ("patternProperties", Value::Object(members)) => {
            members.keys().map(String::as_str).collect()
        }
        _ => Vec::new(),
    }
}

fn uncountable(root: &Value, key: &str, value: &Value, is_root: bool) -> Option<String> {
    let Value::String(text) = value else { return None };
    match key {
        "$ref" if referred(root, text).is_none() => {
            Some(format!("its $ref {text:?} is no JSON pointer to a place in it (#/…)"))
        }
        "$dynamicRef" | "$recursiveRef" => Some(format!("{key} is not supported")),
        // They would change what a pointer means.
        "$id" | "id" if !is_root => Some(format!("{key} is supported at its top only")),
        _ => None,
    }
}

fn referred<'s>(root: &'s Value, to: &str) -> Option<&'s Value> {
    let pointer = percent_decode_str(to.strip_prefix('#')?).decode_utf8().ok()?;
    root.pointer(&pointer)
}

/// Whether the value can be validated with the steps that are allowed.
pub(super) fn is_affordable(root: &Value, value: &Value) -> bool {
    let steps = STEPS_BASE + STEPS_PER_VALUE * size(value);
    Walk { root, steps }.goes(root, value, 0)
}

fn size(value: &Value) -> usize {
    let mut size = 0;
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        size += 1;
        match value {
            Value::Object(members) => waiting.extend(members.values()),
            Value::Array(elements) => waiting.extend(elements),
            _ => {}
        }
    }
    size
}

struct Walk<'s> {
    root: &'s Value,
    /// That are left.
    steps: usize,
}

impl<'s> Walk<'s> {
    /// Everything that a validator may look at, and rather more. False when the steps are used up.
    fn goes(&mut self, schema: &'s Value, value: &Value, depth: usize) -> bool {
        let Value::Object(members) = schema else { return true };
        let Some(steps) = self.steps.checked_sub(1) else { return false };
        self.steps = steps;
        depth < DEPTH_MAX
            && self.in_place(members, value, depth + 1)
            && match value {
                Value::Object(object) => self.members(members, object, depth + 1),
                Value::Array(list) => self.elements(members, list, depth + 1),
                _ => true,
            }
    }

    fn in_place(&mut self, schema: &'s Map<String, Value>, value: &Value, depth: usize) -> bool {
        if let Some(Value::String(to)) = schema.get("$ref") {
            let goes = referred(self.root, to).is_some_and(|to| self.goes(to, value, depth));
            if !goes {
                return false;
            }
        }
        let single = IN_PLACE.iter().filter_map(|key| schema.get(*key));
        let lists = IN_PLACE_LISTS.iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
        let maps = IN_PLACE_MAPS.iter().filter_map(|key| schema.get(*key)?.as_object());
        let all = single.chain(lists).chain(maps.flat_map(Map::values));
        all.into_iter().all(|inner| self.goes(inner, value, depth))
    }

    fn members(
        &mut self,
        schema: &'s Map<String, Value>,
        value: &Map<String, Value>,
        depth: usize,
    ) -> bool {
        let by_name = schema.get("properties").and_then(Value::as_object);
        let by_pattern = schema.get("patternProperties").and_then(Value::as_object);
        let for_all = FOR_MEMBERS.iter().filter_map(|key| schema.get(*key));
        let for_all: Vec<&Value> =
            for_all.chain(by_pattern.into_iter().flat_map(Map::values)).collect();
        let names = schema.get("propertyNames");
        value.iter().all(|(name, member)| {
            by_name.and_then(|known| known.get(name)).is_none_or(|s| self.goes(s, member, depth))
                && names.is_none_or(|inner| self.goes(inner, &Value::Null, depth))
                && for_all.iter().all(|inner| self.goes(inner, member, depth))
        })
    }

    fn elements(&mut self, schema: &'s Map<String, Value>, list: &[Value], depth: usize) -> bool {
        let for_all: Vec<&Value> = FOR_ELEMENTS.iter().filter_map(|key| schema.get(*key)).collect();
        let by_place: Vec<&Vec<Value>> =
            BY_PLACE.iter().filter_map(|key| schema.get(*key)?.as_array()).collect();
        list.iter().enumerate().all(|(place, element)| {
            for_all.iter().all(|inner| self.goes(inner, element, depth))
                && by_place
                    .iter()
                    .filter_map(|schemas| schemas.get(place))
                    .all(|inner| self.goes(inner, element, depth))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Two references to the next, so many times: 2^n steps.
    fn doubling(n: usize) -> Value {
        let mut definitions = Map::new();
        for i in 0..n {
            let next = json!({"$ref": format!("#/definitions/d{}", i + 1)});
            definitions.insert(format!("d{i}"), json!({"allOf": [next, next]}));
        }
        definitions.insert(format!("d{n}"), json!({}));
        json!({"$ref": "#/definitions/d0", "definitions": definitions})
    }

    #[test]
    fn what_a_few_lines_can_blow_up_is_too_much_and_what_people_write_is_not() {
        let check = |schema: Value, value: Value, expect: bool| {
            countable(&schema).unwrap();
            assert_eq!(is_affordable(&schema, &value), expect, "{schema}");
        };
        check(doubling(14), json!({}), true);
        check(doubling(40), json!({}), false);
        check(json!({"$ref": "#"}), json!(1), false);
        let tree = json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}});
        let mut deep = json!({});
        for _ in 0..100 {
            deep = json!({"left": deep, "right": {}});
        }
        check(tree, deep.clone(), true);
        let twice =
            json!({"properties": {"left": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}});
        check(twice, deep, false);
        let list: Vec<u32> = (0..100_000).collect();
        let numbers = json!({"items": {"type": "integer", "minimum": 0, "maximum": 1_000_000}});
        check(numbers, json!(list), true);
    }

    #[test]
    fn as_many_steps_and_as_deep_as_is_allowed_and_not_one_more() {
        // One for itself and one for each of these, of one value.
        let wide = |steps: usize| json!({"allOf": vec![json!({}); steps - 1]});
        let allowed = STEPS_BASE + STEPS_PER_VALUE;
        assert!(is_affordable(&wide(allowed), &json!(1)));
        assert!(!is_affordable(&wide(allowed + 1), &json!(1)));
        // A list of one is two values, and the schema of the list is a step more.
        let listed = |steps: usize| json!({"items": wide(steps - 1)});
        assert!(is_affordable(&listed(allowed + STEPS_PER_VALUE), &json!([1])));
        assert!(!is_affordable(&listed(allowed + STEPS_PER_VALUE + 1), &json!([1])));
        let deep = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"not": inner}));
        assert!(is_affordable(&deep(DEPTH_MAX), &json!(1)));
        assert!(!is_affordable(&deep(DEPTH_MAX + 1), &json!(1)));
    }

    #[test]
    fn references_that_cannot_be_followed_are_named() {
        let check = |schema: Value, expect: &str| {
            let why = countable(&schema).unwrap_err();
            assert!(why.contains(expect), "{why}");
        };
        check(json!({"allOf": [{"$ref": "http://127.0.0.1:1/x"}]}), "http://127.0.0.1:1/x");
        check(json!({"items": {"$ref": "#name"}}), "#name");
        check(json!({"properties": {"a": {"$id": "x:y"}}}), "$id");
        check(json!({"$dynamicRef": "#a"}), "$dynamicRef");
        let named = json!({"$id": "x:y", "properties": {"id": {"type": "string"}, "$ref": {}}});
        countable(&named).unwrap();
        countable(&json!({"enum": [{"$ref": "http://x"}]})).unwrap();
    }
}
