//! `Debug` for what may hold secrets: how much there is, never what (OSB-014).

use std::fmt;

use super::JsonObject;

/// Stands in a `Debug` output for an object whose values are not shown.
pub(super) struct Fields<'a>(pub(super) &'a Option<JsonObject>);

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("None"),
            Some(object) => write!(f, "<{} redacted fields>", object.len()),
        }
    }
}

/// Stands in a `Debug` output for a text that is not shown.
pub(super) struct Text<'a>(pub(super) &'a Option<String>);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "<redacted>" } else { "None" })
    }
}
