//! `dispatch update -f FILE`, and what an administrator decides about a class. The other nouns have no update of their
//! own (contract §3.4).

pub mod service_class;

use clap::Subcommand;

use crate::{
    commands::App,
    documents::{self, FileArgs},
    error::CliError,
    outcome::Outcome,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: FileArgs,
    /// Wait until each resource is ready before the next is updated
    #[arg(long)]
    wait: bool,
    #[command(subcommand)]
    noun: Option<Update>,
}

#[derive(Debug, Subcommand)]
enum Update {
    /// Set the default plan of a class
    #[command(
        alias = "class",
        override_usage = "dispatch update serviceclass NAME --default-plan PLAN [flags]"
    )]
    Serviceclass(service_class::Args),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

pub fn run(app: &App, args: Args) -> Result<Outcome, CliError> {
    match args.noun {
        None if args.file.is_given() => {
            app.connected(async |session| documents::update(&session, &args.file, args.wait).await)
        }
        None => Ok(Outcome::Help),
        Some(Update::Serviceclass(args)) => {
            app.connected(|session| service_class::run(session, args))
        }
        Some(Update::Other(words)) => args.file.or_unknown(&words),
    }
}
