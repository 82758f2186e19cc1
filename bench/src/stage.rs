//! What measurements stand on: servers of their own, connections, cores, and workers in this process.

pub mod bare;
pub mod broker;
pub mod cores;
pub mod daemon;
pub mod functions;
pub mod interrupted;
pub mod postgresql;
pub mod process;
pub mod server;
pub mod wal;
pub mod wire;

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a figure could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// Something answered, and not what it should.
    #[error("{what}: {found}")]
    Wrong { what: String, found: String },
    /// This machine lacks something.
    #[error("{0}")]
    Missing(String),
}

impl Trouble {
    /// For `map_err`.
    pub fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    pub fn wrong(what: impl Into<String>, found: impl std::fmt::Display) -> Self {
        Self::Wrong { what: what.into(), found: found.to_string() }
    }
}

/// What all figures share.
#[derive(Debug)]
pub struct Stage {
    /// The executable that is measured.
    pub dispatch: PathBuf,
    /// Everything that is written lies below it.
    pub directory: PathBuf,
    pub cores: cores::Cores,
    /// Workers in this process, for comparison.
    pub bare: bare::Bare,
}

impl Stage {
    /// A fresh directory below the common one.
    pub fn folder(&self, name: &str) -> Result<PathBuf, Trouble> {
        let path = self.directory.join(name);
        std::fs::create_dir_all(&path).map_err(Trouble::io("make a directory"))?;
        Ok(path)
    }
}

/// The sources that this program was built from: examples and the walkthrough are read there.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Lets time pass: between two looks at something that does not tell, or because time is what is measured.
#[expect(clippy::disallowed_methods, reason = "a measurement needs a real clock")]
pub fn pause(length: std::time::Duration) {
    std::thread::sleep(length);
}

/// A line for people, beside the table.
#[expect(clippy::print_stderr, reason = "what is going on is told on stderr, the table on stdout")]
pub fn note(text: &str) {
    eprintln!("{text}");
}
