//! JSON as the first command line printed it: four spaces, an object's own keys in the server's order, and whatever
//! is inside of it (inputs, outputs, parameters, schemas) in the order of the alphabet. Numbers and texts stay as they
//! were sent.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, value::RawValue};

use crate::output::clean;

/// An object or a list of objects, with the keys of everything inside of them sorted.
pub fn sorted_inside(raw: &RawValue) -> String {
    let json = raw.get();
    match json.as_bytes().first() {
        Some(b'[') => list(json, sorted_inside),
        Some(b'{') => match serde_json::from_str::<Members<'_>>(json) {
            Ok(Members(members)) => object(members.into_iter()),
            Err(_) => json.to_owned(),
        },
        _ => json.to_owned(),
    }
}

fn sorted(raw: &RawValue) -> String {
    let json = raw.get();
    match json.as_bytes().first() {
        Some(b'[') => list(json, sorted),
        Some(b'{') => match serde_json::from_str::<BTreeMap<String, &RawValue>>(json) {
            Ok(members) => object(members.into_iter()),
            Err(_) => json.to_owned(),
        },
        _ => json.to_owned(),
    }
}

fn list(json: &str, each: fn(&RawValue) -> String) -> String {
    match serde_json::from_str::<Vec<&RawValue>>(json) {
        Ok(elements) => {
            let elements: Vec<String> = elements.into_iter().map(each).collect();
            format!("[{}]", elements.join(","))
        }
        Err(_) => json.to_owned(),
    }
}

fn object<'a>(members: impl Iterator<Item = (String, &'a RawValue)>) -> String {
    let members = members.map(|(key, value)| format!("{}:{}", Value::from(key), sorted(value)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// The members of an object in the order in which they came.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        from.deserialize_map(Visitor)
    }
}

/// Indents JSON that is known to be valid.
pub fn indented(json: &str, indent: usize) -> String {
    let mut printer = Printer { out: String::with_capacity(json.len() * 2), indent, depth: 0 };
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => printer.string(&mut chars),
            '{' | '[' => {
                printer.out.push(c);
                skip_white(&mut chars);
                if let Some(close) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    printer.out.push(close);
                } else {
                    printer.depth += 1;
                    printer.line();
                }
            }
            '}' | ']' => {
                printer.depth = printer.depth.saturating_sub(1);
                printer.line();
                printer.out.push(c);
            }
            ',' => {
                printer.out.push(c);
                printer.line();
            }
            ':' => printer.out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => printer.out.push(c),
        }
    }
    printer.out
}

struct Printer {
    out: String,
    indent: usize,
    depth: usize,
}

impl Printer {
    fn line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', self.indent * self.depth));
    }

    /// A string's characters up to its closing quote. What a terminal would obey is escaped, not dropped.
    fn string(&mut self, chars: &mut impl Iterator<Item = char>) {
        self.out.push('"');
        let mut escaped = false;
        for c in chars.by_ref() {
            match c {
                c if clean::is_dangerous(c) => {
                    write!(self.out, "\\u{:04x}", u32::from(c)).expect("a String takes everything");
                }
                c => self.out.push(c),
            }
            if c == '"' && !escaped {
                return;
            }
            escaped = c == '\\' && !escaped;
        }
    }
}

fn skip_white(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(char::is_ascii_whitespace).is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_with_four_spaces_in_the_order_it_came() {
        let check = |input: &str, expect: &str| assert_eq!(indented(input, 4), expect);
        check("[]", "[]");
        check("{ }", "{}");
        check("null", "null");
        check(r#"["\\", "a\", {b"]"#, "[\n    \"\\\\\",\n    \"a\\\", {b\"\n]");
        check(
            r#"{"b":1,"a":[1.10,{"x":"y, {z}: \"q\""}],"e":{}}"#,
            "{\n    \"b\": 1,\n    \"a\": [\n        1.10,\n        {\n            \"x\": \"y, {z}: \\\"q\\\"\"\n        }\n    ],\n    \"e\": {}\n}",
        );
    }

    #[test]
    fn keys_inside_of_an_object_are_sorted_and_its_own_are_not() {
        let check = |input: &str, expect: &str| {
            let raw = RawValue::from_string(input.to_owned()).unwrap();
            assert_eq!(sorted_inside(&raw), expect);
        };
        check("null", "null");
        check(
            r#"{"name":"x","input":{"num":1.10,"data":[{"b":"ü\u00fc","a":12345678901234567890123}]},"a":"{"}"#,
            r#"{"name":"x","input":{"data":[{"a":12345678901234567890123,"b":"ü\u00fc"}],"num":1.10},"a":"{"}"#,
        );
        check(r#"[ {"b":1 , "a":{"d":[],"c":{}}}, 2]"#, r#"[{"b":1,"a":{"c":{},"d":[]}},2]"#);
        check(r#"{"a":{"\"":1,"\u0021":2,"B":3}}"#, r#"{"a":{"!":2,"\"":1,"B":3}}"#);
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_still_the_same_json() {
        let printed = indented("[\"a\u{9b}b\u{202e}c\u{7f}\"]", 4);
        assert_eq!(printed, "[\n    \"a\\u009bb\\u202ec\\u007f\"\n]");
        let value: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(value, serde_json::json!(["a\u{9b}b\u{202e}c\u{7f}"]));
    }
}
