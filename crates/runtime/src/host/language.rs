//! The languages that this machine can have a runtime for, and what differs between them.

use serde::{Deserialize, Serialize};

use super::{nodejs, python3};

/// A `host:` runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Python3,
    NodeJs,
}

/// What is looked for, and what it is asked.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    /// The first that is tried, on every machine.
    pub(super) usual: &'static str,
    pub(super) title: &'static str,
    /// The oldest that the worker's shim runs on.
    pub(super) oldest: (u32, u32),
    /// Arguments that make it describe itself as a [`super::interpreter::Answer`] in JSON.
    pub(super) question: &'static [&'static str],
}

impl Language {
    pub const ALL: [Self; 2] = [Self::Python3, Self::NodeJs];

    /// As in `host:python3`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Python3 => "python3",
            Self::NodeJs => "nodejs",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.as_str() == text)
    }

    /// Whether its program is where Debian and others have it. Only then it needs nothing but /usr.
    #[must_use]
    pub fn is_usual(self) -> bool {
        std::path::Path::new(self.program().usual).is_file()
    }

    pub(super) const fn program(self) -> &'static Program {
        match self {
            Self::Python3 => &python3::PROGRAM,
            Self::NodeJs => &nodejs::PROGRAM,
        }
    }
}

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
