//! Where answers go: data on stdout in the format that was asked for, everything else on stderr.

pub mod clean;
pub mod columns;
pub mod json;
pub mod shell;
pub mod table;
pub mod time;

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde_json::{Value, value::RawValue};

use crate::error::CliError;
pub use table::Table;

/// `-o`. `--json` is `-o json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Tables and result lines for people.
    #[default]
    #[value(skip)]
    Table,
    /// The same with more columns.
    Wide,
    Json,
    Yaml,
    /// Names only, one per line.
    Name,
}

/// Stdout and stderr. The only place that writes to them, apart from the progress line.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    pub format: Format,
}

impl Console {
    /// JSON or YAML: a program reads, so there are no result lines.
    pub fn is_for_programs(self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    /// The result line of what was done to an object: `Created function: hello`. `-o name` gets the name alone, and
    /// programs the object instead, from whoever has it.
    pub fn done(self, did: &str, name: &str) -> Result<(), CliError> {
        match self.format {
            Format::Json | Format::Yaml => Ok(()),
            Format::Name => self.line(name),
            Format::Table | Format::Wide => self.line(&format!("{did}: {name}")),
        }
    }

    /// A line of data.
    pub fn line(self, text: &str) -> Result<(), CliError> {
        self.block(&format!("{}\n", clean::text(text)))
    }

    /// Text that is clean already and brings its line breaks.
    pub fn block(self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// A line that is not data. Nobody is told when it cannot be written.
    pub fn note(self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", clean::text(text));
    }

    /// What the server sent, as JSON, or as YAML if that was asked for.
    pub fn document(self, raw: &RawValue) -> Result<(), CliError> {
        self.json(&json::sorted_inside(raw))
    }

    /// JSON whose keys are in the order in which they are to be printed. (YAML is sorted throughout.)
    pub fn json(self, json: &str) -> Result<(), CliError> {
        if self.format != Format::Yaml {
            return self.block(&format!("{}\n", json::indented(json, 4)));
        }
        let tree: Value = serde_json::from_str(json)
            .map_err(|e| CliError::input(format!("answer of the server cannot be read: {e}")))?;
        let yaml = serde_saphyr::to_string(&tree)
            .map_err(|e| CliError::input(format!("answer cannot be written as YAML: {e}")))?;
        self.block(&format!("{}\n", clean::text(yaml.trim_end())))
    }

    /// Asks a person. `None` when nobody is there to answer.
    pub fn confirm(self, question: &str) -> Option<bool> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        let mut stderr = io::stderr().lock();
        write!(stderr, "{} [y/N] ", clean::text(question)).ok()?;
        stderr.flush().ok()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}
