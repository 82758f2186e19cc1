//! `dispatch create`: one file per noun, `-f` for files of documents.

pub mod api;
pub mod base_image;
pub mod function;
pub mod image;
pub mod secret;
pub mod seed_images;
pub mod service_binding;
pub mod service_broker;
pub mod service_class;
pub mod service_instance;

use std::time::Instant;

use clap::Subcommand;
use dispatch_api::{Operation, Tag};
use dispatch_model::ErrorCode;
use serde::Serialize;

use crate::{
    commands::App,
    documents::{self, FileArgs},
    error::CliError,
    nouns::Noun,
    outcome::Outcome,
    progress::Progress,
    session::{Received, Session, takes},
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
    /// Create api
    #[command(override_usage = "dispatch create api NAME FUNCTION [flags]")]
    Api(api::Args),
    /// Create base image
    #[command(override_usage = "dispatch create base-image NAME URL [flags]")]
    BaseImage(base_image::Args),
    /// Create function
    #[command(
        override_usage = "dispatch create function IMAGE NAME PATH [flags]\n  dispatch create function NAME PATH --image IMAGE [flags]"
    )]
    Function(function::Args),
    /// Create image
    #[command(override_usage = "dispatch create image NAME BASE_IMAGE [flags]")]
    Image(image::Args),
    /// Create seed base-images and images
    #[command(alias = "seed", override_usage = "dispatch create seed-images [flags]")]
    SeedImages(seed_images::Args),
    /// Create secret
    #[command(override_usage = "dispatch create secret NAME FILE [flags]")]
    Secret(secret::Args),
    /// Register a service broker
    #[command(
        alias = "broker",
        override_usage = "dispatch create servicebroker NAME URL [flags]\n  dispatch create servicebroker NAME --builtin postgresql --param managed=true [flags]"
    )]
    Servicebroker(Box<service_broker::Args>),
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
        None => Ok(Outcome::Help),
        Some(Create::Api(args)) => app.connected(|session| api::run(session, args)),
        Some(Create::BaseImage(args)) => app.connected(|session| base_image::run(session, args)),
        Some(Create::Function(args)) => app.connected(|session| function::run(session, args)),
        Some(Create::Image(args)) => app.connected(|session| image::run(session, args)),
        Some(Create::SeedImages(args)) => seed_images::run(app, args),
        Some(Create::Secret(args)) => app.connected(|session| secret::run(session, args)),
        Some(Create::Servicebroker(args)) => {
            app.connected(|session| service_broker::run(session, *args))
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
        Some(Create::Other(words)) => args.file.or_unknown(&words),
    }
}

/// Sends the wish, prints the result line, waits if asked, and prints the object for programs.
pub async fn create<N: Noun>(
    session: &Session,
    operation: Operation,
    body: &(impl Serialize + Sync),
    wait: bool,
) -> Result<Received<N>, CliError> {
    // Where no later question is held, the answer itself is.
    let later = N::OPERATIONS.get.is_some_and(|get| takes(get, "wait"));
    let query: &[(&str, &str)] = if wait && !later { &[("wait", wait::LONGEST)] } else { &[] };
    let asked = Instant::now();
    let made = session.call(operation, &[], query, Some(body)).await;
    let mut received: Received<N> = made.map_err(|error| taken::<N>(error, body))?;
    let console = session.console;
    console.done(&format!("Created {}", N::WORDS.created), &received.body.name())?;
    if wait && !later {
        settled(&received)?;
    } else if wait {
        let name = received.body.name().into_owned();
        received = wait::until_made(session, &name, asked).await?;
    }
    if console.is_for_programs() {
        console.document(&received.raw)?;
    }
    Ok(received)
}

/// Who has the name already can be looked at.
fn taken<N: Noun>(error: CliError, body: &impl Serialize) -> CliError {
    let is_taken = error.refusal().is_some_and(|said| said.error == Some(ErrorCode::AlreadyExists));
    let body = serde_json::to_value(body).ok().filter(|_| is_taken);
    match body.as_ref().and_then(|body| body.get("name")?.as_str()) {
        Some(name) => error.hint(format!("look at it: dispatch get {} {name}", N::WORDS.command)),
        None => error,
    }
}

/// The end of a wait that was one held answer.
fn settled<N: Noun>(received: &Received<N>) -> Result<(), CliError> {
    let state = received.body.state();
    if received.settled && state.good {
        return Ok(());
    }
    let (noun, name) = (N::WORDS.command, received.body.name());
    if received.settled && state.at_rest {
        return Err(Progress::new(&name).fail(&state));
    }
    Err(CliError::input(format!("{name} is still {}", state.status))
        .hint(format!("look again: dispatch get {noun} {name}")))
}
