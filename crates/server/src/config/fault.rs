//! What is wrong with settings, each fault with its place. Values are not quoted: they may hold credentials.

use std::{io, path::PathBuf};

use super::Source;

/// Why the settings cannot be used: all reasons that could be found at once.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("read the configuration {path}")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}", lines(faults))]
    Wrong { faults: Vec<Fault> },
}

/// One thing that is wrong. As text: the place, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Fault {
    pub place: Source,
    pub why: String,
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}

/// What a key must be, from the words of the deserializer.
pub(super) fn must_be(key: &str, words: &str) -> String {
    let what = match words.rsplit_once("expected ").map_or(words, |(_, expected)| expected) {
        "invalid socket address syntax" | "socket address" => {
            "an address and a port, such as \"127.0.0.1:8080\""
        }
        "a boolean" => "true or false",
        "a string" | "path string" => "text in quotes",
        "a sequence" => "a list, such as [\"a\", \"b\"]",
        "u64" => "a whole number from 0 on",
        // What else it says may quote the value.
        _ => "a value of another kind",
    };
    format!("{key} must be {what}")
}
