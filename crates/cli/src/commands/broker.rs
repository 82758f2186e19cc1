//! `dispatch broker KIND`: service brokers of our own.

mod included;
mod postgresql;

use clap::Subcommand;

use crate::{error::CliError, outcome::Outcome};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    kind: Option<Broker>,
}

#[derive(Debug, Subcommand)]
enum Broker {
    /// PostgreSQL databases, on a server that many share or on servers of their own
    #[command(override_usage = "dispatch broker postgresql [flags]")]
    Postgresql(postgresql::Args),
}

pub fn run(args: Args) -> Result<Outcome, CliError> {
    match args.kind {
        None => Ok(Outcome::Help),
        Some(Broker::Postgresql(args)) => postgresql::run(args).map(|()| Outcome::Done),
    }
}
