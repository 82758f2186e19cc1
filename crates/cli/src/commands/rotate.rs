//! `dispatch rotate servicebinding NAME`: new credentials, without a redeploy and without a failed call (decision 25).

use clap::Subcommand;
use dispatch_api::{Operation, service_binding::ServiceBinding};

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
    noun: Option<Rotate>,
}

#[derive(Debug, Subcommand)]
enum Rotate {
    /// Bind anew, move every function to the new credentials, then end the old ones
    #[command(
        aliases = ["servicebindings", "binding", "bindings"],
        override_usage = "dispatch rotate servicebinding NAME [flags]"
    )]
    Servicebinding(BindingArgs),
}

#[derive(Debug, clap::Args)]
struct BindingArgs {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Wait until the old credentials have ended
    #[arg(long)]
    wait: bool,
}

pub fn run(app: &App, args: Args) -> Result<Outcome, CliError> {
    match args.noun {
        None => Ok(Outcome::Help),
        Some(Rotate::Servicebinding(args)) => app.connected(|session| binding(session, args)),
    }
}

async fn binding(session: Session, args: BindingArgs) -> Result<(), CliError> {
    let [name] = arity::exactly::<1>(&args.names)?;
    let rotate = Operation::RotateServiceBinding;
    let mut received: Received<ServiceBinding> =
        match session.call(rotate, &[name], &[], NO_BODY).await {
            Ok(received) => received,
            Err(error) => {
                return Err(suggest::similar::<ServiceBinding>(&session, name, error).await);
            }
        };
    let console = session.console;
    console.done("Rotating servicebinding", name)?;
    if args.wait {
        received = wait::until_at_rest(&session, name, "rotated").await?;
        if let Some(reason) = received.body.reason.as_ref().and_then(|reasons| reasons.first()) {
            let words =
                format!("{name} was not rotated: {reason}; the old credentials stay in use");
            return Err(CliError::input(words));
        }
    }
    if console.is_for_programs() {
        get::print(console, &[received.body], &received.raw)?;
    }
    Ok(())
}
