//! JSON as the first command line printed it: four spaces, the server's order of keys. Nothing is parsed into a tree,
//! so that numbers and orders stay as they were sent.

use std::fmt::Write as _;

use crate::output::clean;

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
    fn what_a_terminal_would_obey_is_escaped_and_still_the_same_json() {
        let printed = indented("[\"a\u{9b}b\u{202e}c\u{7f}\"]", 4);
        assert_eq!(printed, "[\n    \"a\\u009bb\\u202ec\\u007f\"\n]");
        let value: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(value, serde_json::json!(["a\u{9b}b\u{202e}c\u{7f}"]));
    }
}
