//! Writing names and texts into statements that take no parameters (roles, databases, grants).

/// A name between double quotes.
pub(crate) fn name(name: &str) -> String {
    format!("\"{}\"", without_nul(name).replace('"', "\"\""))
}

/// A text between single quotes, right whatever `standard_conforming_strings` says.
pub(crate) fn text(text: &str) -> String {
    let text = without_nul(text).replace('\'', "''");
    match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\")),
        false => format!("'{text}'"),
    }
}

/// PostgreSQL ends a statement at a NUL.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(name("a\"; DROP ROLE b; --"), "\"a\"\"; DROP ROLE b; --\"");
        assert_eq!(name("a\0b"), "\"ab\"");
        assert_eq!(text("it's"), "'it''s'");
        assert_eq!(text("\\' x"), "E'\\\\'' x'");
    }
}
