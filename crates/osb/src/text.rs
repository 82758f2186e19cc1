//! A stranger's text, made fit to be shown to people.

/// A text of a broker for people: no control characters, a bounded length.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let shown = text.chars().filter_map(|c| match c {
        '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => Some(' '),
        // They turn the direction of what follows, which can make one text look like another.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        c if c.is_control() => None,
        c => Some(c),
    });
    let text: String = shown.take(most).collect();
    text.trim().to_owned()
}
