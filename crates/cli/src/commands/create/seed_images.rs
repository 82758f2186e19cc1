//! `dispatch create seed-images`: the base images and images that everybody begins with. One that is there already, and
//! equal, is done (decision 14).

use std::{fs, path::PathBuf};

use crate::{commands::App, documents, error::CliError, files, outcome::Outcome};

/// As v0.1.22 seeded them; the server takes these URLs for the machine's own runtimes.
const SEED: &str = include_str!("seed_images.yaml");

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write the documents to this file and create nothing
    #[arg(short = 'O', long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Wait until each is ready
    #[arg(long)]
    wait: bool,
}

pub fn run(app: &App, args: Args) -> Result<Outcome, CliError> {
    if let Some(file) = &args.output_file {
        fs::write(file, SEED)
            .map_err(|e| CliError::input(format!("open {}: {}", file.display(), files::why(&e))))?;
        return Ok(Outcome::Done);
    }
    app.connected(async |session| documents::seed(&session, SEED, args.wait).await)
}
