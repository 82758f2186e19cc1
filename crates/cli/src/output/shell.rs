//! Words for a shell. Brokers choose the names of classes and plans, and a person presses Enter behind them.

use crate::output::clean;

/// Whether every shell takes the word for itself.
pub fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    !word.is_empty() && !word.starts_with('-') && word.chars().all(plain)
}

/// The word as it has to be typed.
pub fn quoted(word: &str) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    format!("'{}'", clean::line(word).replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_shell_touches_stays_as_it_is() {
        let check = |word: &str, expect: &str| assert_eq!(quoted(word), expect);
        check("p.mysql-5_7/x:y", "p.mysql-5_7/x:y");
        check("", "''");
        check("it's", "'it'\\''s'");
        check("$(rm -rf ~)", "'$(rm -rf ~)'");
        check("a\u{1b}[2Jb\nc", "'ab c'");
        check("größe", "'größe'");
        check("-rf", "'-rf'");
    }
}
