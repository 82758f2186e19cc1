//! Collecting faults and warnings, with their places in words.

use super::{Fault, MAX_FAULTS};
use crate::text::clean;

/// A place in the catalogue: for programs, and for people.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: String,
    words: String,
}

impl Place {
    pub(super) fn root() -> Self {
        Self { path: String::new(), words: "the catalogue".to_owned() }
    }

    /// An entry of a list, called by its kind and name.
    pub(super) fn entry(&self, list: &str, index: usize, kind: &str, name: Option<&str>) -> Self {
        let path = self.field(list).path;
        let name = match name.map(|name| clean(name, 60)).filter(|name| !name.is_empty()) {
            Some(name) => format!("{kind} {name:?}"),
            None => format!("{kind} number {}", index + 1),
        };
        let words = match self.path.is_empty() {
            true => name,
            false => format!("{}, {name}", self.words),
        };
        Self { path: format!("{path}[{index}]"), words }
    }

    pub(super) fn field(&self, name: &str) -> Self {
        let path = match self.path.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.path),
        };
        Self { path, words: format!("{}: {name}", self.words) }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// What has been found so far, bounded.
#[derive(Debug, Default)]
pub(super) struct Report {
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
    more_faults: usize,
    more_warnings: usize,
}

impl Report {
    pub(super) fn fault(&mut self, place: &Place, message: impl AsRef<str>) {
        push(&mut self.faults, &mut self.more_faults, place, message.as_ref());
    }

    pub(super) fn warn(&mut self, place: &Place, message: impl AsRef<str>) {
        push(&mut self.warnings, &mut self.more_warnings, place, message.as_ref());
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// The warnings, or the faults if there are any.
    pub(super) fn finish(mut self) -> Result<Vec<Fault>, Vec<Fault>> {
        count_rest(&mut self.faults, self.more_faults);
        count_rest(&mut self.warnings, self.more_warnings);
        if self.faults.is_empty() { Ok(self.warnings) } else { Err(self.faults) }
    }
}

fn push(list: &mut Vec<Fault>, more: &mut usize, place: &Place, message: &str) {
    if list.len() < MAX_FAULTS {
        let message = format!("{} {message}", place.words);
        list.push(Fault { path: place.path.clone(), message });
    } else {
        *more += 1;
    }
}

fn count_rest(list: &mut Vec<Fault>, more: usize) {
    if more > 0 {
        list.push(Fault { path: String::new(), message: format!("and {more} more") });
    }
}
