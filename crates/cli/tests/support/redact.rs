//! The one redactor: replaces what differs from run to run, the same thing by the same word.

use std::collections::BTreeMap;

#[derive(Default)]
pub struct Redactor {
    constants: Vec<(String, String)>,
    /// Times come from a real clock.
    real: bool,
}

impl Redactor {
    /// A text that is known beforehand, such as a port.
    pub fn constant(&mut self, text: &str, word: &str) {
        self.constants.push((text.to_owned(), word.to_owned()));
    }

    /// A real server's times differ from run to run as well.
    pub fn of_a_real_server(&mut self) {
        self.real = true;
    }

    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.constants {
            text = text.replace(from, to);
        }
        let text = replace(&text, Pattern::uuid(), "id");
        let text = replace(&text, Pattern::clock(), "");
        let text =
            if self.real { confinement(&seconds(&dates(&without_progress(&text)))) } else { text };
        spans(&sources(&following(&text)))
    }
}

/// `since=1795160033`: runs from now on.
fn following(text: &str) -> String {
    let mut parts = text.split("since=");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        out.push_str(if rest.len() < part.len() { "since=<now>" } else { "since=" });
        out.push_str(rest);
    }
    out
}

/// A shape: `h` is a hexadecimal digit, `9` a decimal one, everything else itself.
struct Pattern {
    shape: &'static str,
    word: &'static str,
}

impl Pattern {
    const fn uuid() -> Self {
        Self { shape: "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", word: "id" }
    }

    /// The time at the start of a progress line.
    const fn clock() -> Self {
        Self { shape: "99:99:99 ", word: "<time> " }
    }

    fn matches(&self, text: &str) -> bool {
        let mut chars = text.chars();
        self.shape.chars().all(|shape| {
            chars.next().is_some_and(|c| match shape {
                'h' => c.is_ascii_hexdigit(),
                '9' => c.is_ascii_digit(),
                other => c == other,
            })
        })
    }
}

/// Replaces every place that has the shape. Numbered words stay the same for the same text; times all look alike.
fn replace(text: &str, pattern: Pattern, number: &str) -> String {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let fresh = number.is_empty() && !(out.is_empty() || out.ends_with('\n'));
        if !fresh && pattern.matches(rest) {
            let (found, after) = rest.split_at(pattern.shape.len());
            let next = seen.len() + 1;
            let index = *seen.entry(found.to_owned()).or_insert(next);
            if number.is_empty() {
                out.push_str(pattern.word);
            } else {
                // As long as what it stands for, so that tables keep their shape.
                let word = format!("<{}-{index}", pattern.word);
                out.push_str(&format!("{word:.<width$}>", width = pattern.shape.len() - 1));
            }
            rest = after;
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// How many lines of progress there are depends on how fast the machine is.
fn without_progress(text: &str) -> String {
    text.split('\n').filter(|line| !line.starts_with("<time>")).collect::<Vec<_>>().join("\n")
}

/// `Fri Nov 20 07:33:53 UTC 2026`, as tables have them, keeps its length.
fn dates(text: &str) -> String {
    let end = " UTC 2";
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(end) {
        let (before, after) = rest.split_at(at);
        let start = before.len() - "Fri Nov 20 07:33:53".len();
        out.push_str(&before[..start]);
        out.push_str("<date.....................>.");
        rest = &after[" UTC 2026".len()..];
    }
    out + rest
}

/// `"createdTime": 1795160033` and the like.
fn seconds(text: &str) -> String {
    let lines = text.split('\n').map(|line| match line.split_once("Time\": ") {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}Time\": <seconds>{rest}")
        }
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What holds a function depends on the machine.
fn confinement(text: &str) -> String {
    let member = "\"confinement\": ";
    let lines = text.split('\n').map(|line| match line.split_once(member) {
        Some((before, _)) => format!("{before}{member}<confinement>,"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A packed source depends on the library that packs it; what is in it is tested where it is packed.
fn sources(text: &str) -> String {
    let start = "\"source\":\"";
    let mut parts = text.split(start);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once('"').map_or("", |(_, rest)| rest);
        out.push_str(&format!("{start}<source>\"{rest}"));
    }
    out
}

/// `in 12 ms`, `after 1.3 s`, `(31 ms)`, `(broker 1.2 s, Dispatch 9 ms)` become `<span>`.
fn spans(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for line in text.split('\n') {
        let mut line = line.to_owned();
        for before in [" in ", " after ", " (", " (broker ", ", Dispatch "] {
            let Some(start) = line.find(before).map(|at| at + before.len()) else { continue };
            let rest = &line[start..];
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            for unit in [" ms", " s"] {
                if digits > 0 && rest[digits..].starts_with(unit) {
                    line.replace_range(start..start + digits + unit.len(), "<span>");
                    break;
                }
            }
        }
        words.push(line);
    }
    words.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_id_gets_the_same_word_and_another_one_another() {
        let text = "a 5b1f6c1e-0000-4000-8000-000000009d02 b 11111111-0000-4000-8000-000000009d02 c 5b1f6c1e-0000-4000-8000-000000009d02";
        let one = "<id-1..............................>";
        let two = one.replace('1', "2");
        assert_eq!(Redactor::default().redact(text), format!("a {one} b {two} c {one}"));
    }

    #[test]
    fn times_at_the_start_of_a_line_and_spans_are_replaced_and_other_numbers_are_not() {
        let text = "10:31:07 db\nFri 10:31:07 2026\n✓ db READY in 1.3 s (broker 1.2 s, Dispatch 9 ms)\n✗ after 43 ms: x\nin 3 words";
        let expect = "<time> db\nFri 10:31:07 2026\n✓ db READY in <span> (broker <span>, Dispatch <span>)\n✗ after <span>: x\nin 3 words";
        assert_eq!(Redactor::default().redact(text), expect);
    }
}
