//! `dispatch delete`: by noun and name, or all documents of a file.

use clap::Subcommand;
use dispatch_api::{
    api::Api, base_image::BaseImage, function::Function, image::Image, secret::Secret,
    service_binding::ServiceBinding, service_broker::ServiceBroker, service_class::ServiceClass,
    service_instance::ServiceInstance,
};

use crate::{
    commands::{App, arity},
    documents::{self, FileArgs},
    error::CliError,
    nouns::Noun,
    outcome::Outcome,
    removal::{Removal, remove},
    session::Session,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    common: CommonArgs,
    /// With a broker, delete its instances first
    #[arg(long)]
    cascade: bool,
    /// Forget services without calling their broker
    #[arg(long, conflicts_with = "cascade")]
    purge: bool,
    #[command(subcommand)]
    noun: Option<Delete>,
}

#[derive(Debug, Subcommand)]
enum Delete {
    /// Delete an API
    #[command(alias = "apis", override_usage = "dispatch delete api NAME [flags]")]
    Api(NameArgs),
    /// Delete a base image
    #[command(alias = "base-images", override_usage = "dispatch delete base-image NAME [flags]")]
    BaseImage(NameArgs),
    /// Delete a function
    #[command(alias = "functions", override_usage = "dispatch delete function NAME [flags]")]
    Function(NameArgs),
    /// Delete an image
    #[command(alias = "images", override_usage = "dispatch delete image NAME [flags]")]
    Image(NameArgs),
    /// Delete a secret
    #[command(alias = "secrets", override_usage = "dispatch delete secret NAME [flags]")]
    Secret(NameArgs),
    /// Remove a broker and its classes
    #[command(
        aliases = ["servicebrokers", "broker", "brokers"],
        override_usage = "dispatch delete servicebroker NAME [flags]"
    )]
    Servicebroker(BrokerArgs),
    /// Make a class unavailable; its instances live on
    #[command(
        aliases = ["serviceclasses", "class", "classes"],
        override_usage = "dispatch delete serviceclass NAME [flags]"
    )]
    Serviceclass(ClassArgs),
    /// Delete an instance, its bindings and what it holds
    #[command(
        aliases = ["serviceinstances", "instance", "instances"],
        override_usage = "dispatch delete serviceinstance NAME [flags]"
    )]
    Serviceinstance(ServiceArgs),
    /// Delete a binding and its credentials
    #[command(
        aliases = ["servicebindings", "binding", "bindings"],
        override_usage = "dispatch delete servicebinding NAME [flags]"
    )]
    Servicebinding(ServiceArgs),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, clap::Args)]
struct CommonArgs {
    /// Wait until it is gone
    #[arg(long)]
    wait: bool,
    /// Refuse when something uses it
    #[arg(long)]
    if_unused: bool,
    /// Do not ask, even when something uses it
    #[arg(short, long, conflicts_with = "if_unused")]
    yes: bool,
    /// Accepted for old scripts; nothing is filtered
    #[arg(short, long, value_name = "NAME")]
    application: Option<String>,
}

#[derive(Debug, clap::Args)]
struct NameArgs {
    #[arg(hide = true)]
    names: Vec<String>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, clap::Args)]
struct BrokerArgs {
    #[command(flatten)]
    name: NameArgs,
    /// Delete the broker's instances first
    #[arg(long)]
    cascade: bool,
    /// Forget the broker and its instances without calling it
    #[arg(long, conflicts_with = "cascade")]
    purge: bool,
}

#[derive(Debug, clap::Args)]
struct ServiceArgs {
    #[command(flatten)]
    name: NameArgs,
    /// Forget it without calling the broker
    #[arg(long)]
    purge: bool,
}

#[derive(Debug, clap::Args)]
struct ClassArgs {
    #[command(flatten)]
    name: NameArgs,
    /// Which broker is meant, when two have a class of this name
    #[arg(long)]
    broker: Option<String>,
}

impl CommonArgs {
    fn removal(&self) -> Removal {
        let Self { wait, if_unused, yes, .. } = *self;
        Removal { wait, if_unused, yes, ..Removal::default() }
    }
}

pub fn run(app: &App, args: Args) -> Result<Outcome, CliError> {
    match args.noun {
        None if args.file.is_given() => {
            let removal =
                Removal { cascade: args.cascade, purge: args.purge, ..args.common.removal() };
            app.connected(async |session| documents::delete(&session, &args.file, &removal).await)
        }
        None => Ok(Outcome::Help),
        Some(Delete::Api(args)) => one::<Api>(app, &args, args.common.removal()),
        Some(Delete::BaseImage(args)) => one::<BaseImage>(app, &args, args.common.removal()),
        Some(Delete::Function(args)) => one::<Function>(app, &args, args.common.removal()),
        Some(Delete::Image(args)) => one::<Image>(app, &args, args.common.removal()),
        Some(Delete::Secret(args)) => one::<Secret>(app, &args, args.common.removal()),
        Some(Delete::Servicebroker(args)) => {
            let BrokerArgs { cascade, purge, name } = args;
            one::<ServiceBroker>(app, &name, Removal { cascade, purge, ..name.common.removal() })
        }
        Some(Delete::Serviceclass(args)) => {
            let ClassArgs { broker, name } = args;
            one::<ServiceClass>(app, &name, Removal { broker, ..name.common.removal() })
        }
        Some(Delete::Serviceinstance(args)) => {
            let ServiceArgs { purge, name } = args;
            one::<ServiceInstance>(app, &name, Removal { purge, ..name.common.removal() })
        }
        Some(Delete::Servicebinding(args)) => {
            let ServiceArgs { purge, name } = args;
            one::<ServiceBinding>(app, &name, Removal { purge, ..name.common.removal() })
        }
        Some(Delete::Other(words)) => args.file.or_unknown(&words),
    }
}

fn one<N: Noun>(app: &App, args: &NameArgs, removal: Removal) -> Result<Outcome, CliError> {
    let [name] = arity::exactly::<1>(&args.names)?;
    app.connected(async |session: Session| {
        let console = session.console;
        let did = format!("Deleted {}", N::WORDS.deleted);
        let raw = remove::<N>(&session, name, &removal, &|| console.done(&did, name)).await?;
        // A secret's deletion is answered without a body.
        if console.is_for_programs() && raw.get() != "null" {
            console.document(&raw)?;
        }
        Ok(())
    })
}
