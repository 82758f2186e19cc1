//! `dispatch retry serviceinstance NAME`: another attempt at what ended in ERROR.

use std::time::Instant;

use clap::Subcommand;
use dispatch_api::{Operation, service_instance::ServiceInstance};

use crate::{
    commands::{App, arity, get},
    error::CliError,
    outcome::Outcome,
    session::{NO_BODY, Received, Session},
    suggest, wait,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    noun: Option<Retry>,
}

#[derive(Debug, Subcommand)]
enum Retry {
    /// Try again to provision, update or delete an instance
    #[command(
        aliases = ["serviceinstances", "instance", "instances"],
        override_usage = "dispatch retry serviceinstance NAME [flags]"
    )]
    Serviceinstance(InstanceArgs),
}

#[derive(Debug, clap::Args)]
struct InstanceArgs {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Wait until the instance and its binding are ready
    #[arg(long)]
    wait: bool,
}

pub fn run(app: &App, args: Args) -> Result<Outcome, CliError> {
    match args.noun {
        None => Ok(Outcome::Help),
        Some(Retry::Serviceinstance(args)) => app.connected(|session| instance(session, args)),
    }
}

async fn instance(session: Session, args: InstanceArgs) -> Result<(), CliError> {
    let [name] = arity::exactly::<1>(&args.names)?;
    let (retry, asked) = (Operation::RetryServiceInstance, Instant::now());
    let mut received: Received<ServiceInstance> =
        match session.call(retry, &[name], &[], NO_BODY).await {
            Ok(received) => received,
            Err(error) => {
                return Err(suggest::similar::<ServiceInstance>(&session, name, error).await);
            }
        };
    let console = session.console;
    console.done("Retrying serviceinstance", name)?;
    if args.wait {
        received = wait::until_made(&session, name, asked).await?;
    }
    if console.is_for_programs() {
        get::print(console, &[received.body], &received.raw)?;
    }
    Ok(())
}
