//! Where a setting comes from.

use std::{fmt, path::PathBuf};

/// The place that had the last word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    /// The settings that pip or npm have on this machine.
    Tool(&'static str),
    /// A line of `server.toml`, from 1.
    File {
        path: PathBuf,
        line: usize,
    },
    /// A variable of the environment, by its name.
    Variable(String),
    /// A flag or several, as they are given: `--port`.
    Flag(String),
}

impl Source {
    /// 0 for what is no line.
    pub(super) const fn line(&self) -> usize {
        match self {
            Self::File { line, .. } => *line,
            _ => 0,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Tool(tool) => write!(f, "{tool}'s own settings"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}
