//! `dispatch create`: one file per noun, `-f` for files of documents.

pub mod secret;
pub mod service_binding;
pub mod service_broker;
pub mod service_class;
pub mod service_instance;

use clap::Subcommand;
use dispatch_api::{Operation, Tag};
use serde::Serialize;

use crate::{
    commands::{App, Outcome, unknown},
    documents::{self, FileArgs},
    error::CliError,
    nouns::Noun,
    session::{Received, Session},
    wait,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    tag: TagArgs,
    /// Wait until each resource is ready before the next is created
    #[arg(long)]
    wait: bool,
    #[command(subcommand)]
    noun: Option<Create>,
}

#[derive(Debug, Subcommand)]
enum Create {
    /// Create secret
    #[command(override_usage = "dispatch create secret NAME FILE [flags]")]
    Secret(secret::Args),
    /// Register a service broker
    #[command(alias = "broker", override_usage = "dispatch create servicebroker NAME URL [flags]")]
    Servicebroker(service_broker::Args),
    /// Make a class of a broker available
    #[command(
        alias = "class",
        override_usage = "dispatch create serviceclass NAME --broker BROKER [flags]"
    )]
    Serviceclass(service_class::Args),
    /// Create serviceinstance
    #[command(
        alias = "instance",
        override_usage = "dispatch create serviceinstance NAME CLASS [PLAN] [flags]"
    )]
    Serviceinstance(service_instance::Args),
    /// Create a further binding of an instance
    #[command(
        alias = "binding",
        override_usage = "dispatch create servicebinding NAME INSTANCE [flags]"
    )]
    Servicebinding(service_binding::Args),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// `-a`, which every noun of v0.1.22 takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TagArgs {
    /// Associate with an application
    #[arg(short, long, value_name = "NAME")]
    application: Option<String>,
}

impl TagArgs {
    pub fn tags(&self) -> Option<Vec<Tag>> {
        let value = self.application.clone()?;
        Some(vec![Tag { key: "Application".to_owned(), value }])
    }
}

pub fn run(app: &App, args: Args) -> Result<Outcome, CliError> {
    match args.noun {
        None if args.file.is_given() => app.connected(async |session| {
            documents::create(&session, &args.file, args.wait, args.tag.tags()).await
        }),
        None => Ok(Outcome::Help { note: None }),
        Some(Create::Secret(args)) => app.connected(|session| secret::run(session, args)),
        Some(Create::Servicebroker(args)) => {
            app.connected(|session| service_broker::run(session, args))
        }
        Some(Create::Serviceclass(args)) => {
            app.connected(|session| service_class::run(session, args))
        }
        Some(Create::Serviceinstance(args)) => {
            app.connected(|session| service_instance::run(session, args))
        }
        Some(Create::Servicebinding(args)) => {
            app.connected(|session| service_binding::run(session, args))
        }
        Some(Create::Other(words)) => Ok(unknown(&words)),
    }
}

/// Sends the wish, prints the result line, waits if asked, and prints the object for programs.
pub async fn create<N: Noun>(
    session: &Session,
    operation: Operation,
    body: &(impl Serialize + Sync),
    wait: bool,
) -> Result<Received<N>, CliError> {
    let mut received: Received<N> = session.call(operation, &[], &[], Some(body)).await?;
    let console = session.console;
    if !console.is_for_programs() {
        console.line(&format!("Created {}: {}", N::WORDS.created, received.body.name()))?;
    }
    if wait {
        let name = received.body.name().to_owned();
        received = wait::until_ready(session, &name).await?;
    }
    if console.is_for_programs() {
        console.document(&received.raw)?;
    }
    Ok(received)
}
