//! Makes text of brokers, functions and servers harmless for a terminal (decision 24). It decides nothing else.

/// For one line: line breaks and tabs become spaces.
pub fn line(text: &str) -> String {
    filtered(text).map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c }).collect()
}

/// For a paragraph: line breaks and tabs stay.
pub fn text(text: &str) -> String {
    filtered(text).collect()
}

/// Without escape sequences and without whatever moves the cursor or turns the direction of writing.
fn filtered(text: &str) -> impl Iterator<Item = char> {
    let plain: String = anstream::adapter::strip_str(text).to_string();
    plain.chars().filter(|c| !is_dangerous(*c)).collect::<Vec<_>>().into_iter()
}

/// Control characters other than line breaks and tabs, and the marks that reorder or hide text.
pub fn is_dangerous(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_escape_sequences_go_and_text_stays() {
        let check = |input: &str, expect: &str| assert_eq!(line(input), expect, "{input:?}");
        check("creating firewall rules", "creating firewall rules");
        check("größe ✓ 数", "größe ✓ 数");
        check("\u{1b}[31mred\u{1b}[0m", "red");
        check("\u{1b}]0;title\u{7}x", "x");
        check("a\rb\u{8}c\u{7f}", "abc");
        check("\u{9b}31mred", "31mred");
        check("evil\u{202e}gnp", "evilgnp");
        check("two\nlines\tthere", "two lines there");
        assert_eq!(text("two\nlines"), "two\nlines");
    }
}
