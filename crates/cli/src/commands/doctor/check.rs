//! One thing that was looked at.

use serde::Serialize;

use crate::output::clean;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// The machine could, or has something weaker.
    Off,
    /// It is not on this machine.
    Missing,
    /// It is there and does not work.
    Wrong,
}

/// The members are read by programs: their names stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Words with dots between them: `interpreter.python3`.
    pub name: String,
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do, in one line; none where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether functions cannot run unless this is ok.
    pub decides: bool,
}

impl Check {
    fn new(name: &str, state: State, detail: &str, remedy: Option<String>) -> Self {
        let (name, detail) = (clean::line(name), without_numbers(&clean::line(detail)));
        let remedy = remedy.map(|remedy| clean::line(&remedy));
        Self { name, state, detail, remedy, decides: false }
    }

    pub fn ok(name: &str, detail: impl AsRef<str>) -> Self {
        Self::new(name, State::Ok, detail.as_ref(), None)
    }

    pub fn off(name: &str, detail: impl AsRef<str>, remedy: impl Into<String>) -> Self {
        Self::new(name, State::Off, detail.as_ref(), Some(remedy.into()))
    }

    pub fn missing(name: &str, detail: impl AsRef<str>, remedy: impl Into<String>) -> Self {
        Self::new(name, State::Missing, detail.as_ref(), Some(remedy.into()))
    }

    pub fn wrong(name: &str, detail: impl AsRef<str>, remedy: impl Into<String>) -> Self {
        Self::new(name, State::Wrong, detail.as_ref(), Some(remedy.into()))
    }

    #[must_use]
    pub const fn deciding(mut self) -> Self {
        self.decides = true;
        self
    }

    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.state == State::Ok
    }

    /// Its line: mark, name, detail.
    pub fn cells(&self) -> Vec<String> {
        let mark = match self.state {
            State::Ok => "ok     ",
            State::Off => "off    ",
            State::Missing => "missing",
            State::Wrong => "wrong  ",
        };
        vec![mark.to_owned(), self.name.clone(), self.detail.clone()]
    }
}

/// `Permission denied (os error 13)` → `Permission denied`, wherever it stands.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once(')').map_or("", |(_, rest)| rest));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_one_line_without_the_systems_numbers() {
        let check = |detail: &str, expect: &str| assert_eq!(Check::ok("x", detail).detail, expect);
        check("a: Permission denied (os error 13)", "a: Permission denied");
        check("b (c: no (os error 2)) d (os error 3) e", "b (c: no) d e");
        check("a\nb", "a b");
    }
}
