//! `dispatch help [COMMAND]`: what `dispatch COMMAND --help` prints.

use crate::outcome::Outcome;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    words: Vec<String>,
}

pub fn run(args: Args) -> Outcome {
    Outcome::HelpFor(args.words)
}
