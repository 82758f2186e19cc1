//! `dispatch refresh servicebroker NAME`: reads the broker's catalogue now.

use clap::Subcommand;
use dispatch_api::{Operation, service_broker::ServiceBroker};

use crate::{
    commands::{App, arity, get},
    error::CliError,
    nouns::Noun as _,
    outcome::Outcome,
    progress::Progress,
    session::{NO_BODY, Received, Session},
    suggest, wait,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    noun: Option<Refresh>,
}

#[derive(Debug, Subcommand)]
enum Refresh {
    /// Read the catalogue of a broker again
    #[command(
        aliases = ["servicebrokers", "broker", "brokers"],
        override_usage = "dispatch refresh servicebroker NAME [flags]"
    )]
    Servicebroker(BrokerArgs),
}

#[derive(Debug, clap::Args)]
struct BrokerArgs {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Wait until the catalogue has been read
    #[arg(long)]
    wait: bool,
}

pub fn run(app: &App, args: Args) -> Result<Outcome, CliError> {
    match args.noun {
        None => Ok(Outcome::Help),
        Some(Refresh::Servicebroker(args)) => app.connected(|session| broker(session, args)),
    }
}

async fn broker(session: Session, args: BrokerArgs) -> Result<(), CliError> {
    let [name] = arity::exactly::<1>(&args.names)?;
    let query: &[(&str, &str)] = if args.wait { &[("wait", wait::LONGEST)] } else { &[] };
    let refresh = Operation::RefreshServiceBroker;
    let progress = Progress::new(name);
    let answer = progress.during(session.call(refresh, &[name], query, NO_BODY)).await;
    let received: Received<ServiceBroker> = match answer {
        Ok(received) => received,
        Err(error) => return Err(suggest::similar::<ServiceBroker>(&session, name, error).await),
    };
    progress.clear();
    let console = session.console;
    if console.is_for_programs() {
        return get::print(console, &[received.body], &received.raw);
    }
    console.done("Refreshed servicebroker", name)?;
    let state = received.body.state();
    if args.wait && state.at_rest && !state.good {
        return Err(progress.fail(&state));
    }
    Ok(())
}
