//! `dispatch apply -f FILE`: makes everything as the file says, and says of each document what that took.

use crate::{
    commands::{App, create::TagArgs},
    documents::{self, FileArgs},
    error::CliError,
    outcome::Outcome,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    tag: TagArgs,
    /// Wait until each resource is ready before the next is looked at
    #[arg(long)]
    wait: bool,
}

pub fn run(app: &App, args: &Args) -> Result<Outcome, CliError> {
    if !args.file.is_given() {
        return Ok(Outcome::Help);
    }
    app.connected(async |session| {
        documents::apply(&session, &args.file, args.wait, args.tag.tags()).await
    })
}
