//! `dispatch update -f FILE`. Single resources have no update of their own (contract §3.4).

use crate::{
    commands::App,
    documents::{self, FileArgs},
    error::CliError,
    outcome::{Outcome, unknown},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: FileArgs,
    /// Wait until each resource is ready before the next is updated
    #[arg(long)]
    wait: bool,
    #[arg(hide = true)]
    words: Vec<String>,
}

pub fn run(app: &App, args: &Args) -> Result<Outcome, CliError> {
    if !args.file.is_given() {
        return Ok(unknown(&args.words));
    }
    app.connected(async |session| documents::update(&session, &args.file, args.wait).await)
}
