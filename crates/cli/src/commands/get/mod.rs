//! `dispatch get`: one object or all of a kind, as a table, as JSON or YAML, or as names.

pub mod run;
pub mod secret;
pub mod watch;

use clap::Subcommand;
use dispatch_api::{
    Operation, api::Api, base_image::BaseImage, function::Function, image::Image, orphan::Orphan,
    service_binding::ServiceBinding, service_broker::ServiceBroker, service_class::ServiceClass,
    service_instance::ServiceInstance,
};
use serde_json::value::RawValue;

use crate::{
    commands::{App, arity},
    error::CliError,
    nouns::Noun,
    outcome::{Outcome, unknown},
    output::{Console, Format, Table},
    session::{NO_BODY, Received, Session},
    suggest,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    noun: Option<Get>,
}

#[derive(Debug, Subcommand)]
enum Get {
    /// Get API
    #[command(alias = "apis", override_usage = "dispatch get api [NAME] [flags]")]
    Api(ApiArgs),
    /// Get base images
    #[command(alias = "base-images", override_usage = "dispatch get base-image [NAME] [flags]")]
    BaseImage(NameArgs),
    /// Get function(s)
    #[command(alias = "functions", override_usage = "dispatch get function [NAME] [flags]")]
    Function(NameArgs),
    /// Get images
    #[command(alias = "images", override_usage = "dispatch get image [NAME] [flags]")]
    Image(NameArgs),
    /// Get run(s)
    #[command(alias = "runs", override_usage = "dispatch get run [FUNCTION [RUN_ID]] [flags]")]
    Run(run::Args),
    /// Get secrets
    #[command(alias = "secrets", override_usage = "dispatch get secret [NAME] [flags]")]
    Secret(secret::Args),
    /// Get service brokers
    #[command(
        aliases = ["servicebrokers", "broker", "brokers"],
        override_usage = "dispatch get servicebroker [NAME] [flags]"
    )]
    Servicebroker(NameArgs),
    /// Get service classes
    #[command(
        aliases = ["serviceclasses", "class", "classes"],
        override_usage = "dispatch get serviceclass [NAME] [flags]"
    )]
    Serviceclass(ClassArgs),
    /// Get service instances
    #[command(
        aliases = ["serviceinstances", "instance", "instances"],
        override_usage = "dispatch get serviceinstance [NAME] [flags]"
    )]
    Serviceinstance(NameArgs),
    /// Get service bindings
    #[command(
        aliases = ["servicebindings", "binding", "bindings"],
        override_usage = "dispatch get servicebinding [NAME] [flags]"
    )]
    Servicebinding(NameArgs),
    /// Get what may be left over at brokers and is being removed
    #[command(alias = "orphan", override_usage = "dispatch get orphans [flags]")]
    Orphans(NameArgs),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, clap::Args)]
pub struct NameArgs {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Accepted for old scripts; nothing is filtered
    #[arg(short, long, value_name = "NAME")]
    application: Option<String>,
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub struct WatchArgs {
    /// Go on with a line for each change, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
}

#[derive(Debug, clap::Args)]
pub struct ApiArgs {
    #[command(flatten)]
    name: NameArgs,
    /// Accepted for old scripts; nothing is filtered
    #[arg(short, long, value_name = "NAME")]
    func: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct ClassArgs {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Classes of this broker only
    #[arg(long)]
    broker: Option<String>,
    /// Classes that are not enabled as well
    #[arg(long)]
    available: bool,
    #[command(flatten)]
    watch: WatchArgs,
}

/// What to show: one object or all, narrowed down by a query; and whether to go on with changes.
#[derive(Debug)]
pub struct Wanted<'a> {
    name: Option<&'a str>,
    query: &'a [(&'a str, &'a str)],
    watch: bool,
}

pub fn run(app: &App, args: Args) -> Result<Outcome, CliError> {
    match args.noun {
        None => Ok(Outcome::Help),
        Some(Get::Api(args)) => named::<Api>(app, &args.name),
        Some(Get::BaseImage(args)) => named::<BaseImage>(app, &args),
        Some(Get::Function(args)) => named::<Function>(app, &args),
        Some(Get::Image(args)) => named::<Image>(app, &args),
        Some(Get::Run(args)) => app.connected(|session| run::run(session, args)),
        Some(Get::Secret(args)) => app.connected(|session| secret::run(session, args)),
        Some(Get::Servicebroker(args)) => named::<ServiceBroker>(app, &args),
        Some(Get::Serviceclass(args)) => app.connected(|session| classes(session, args)),
        Some(Get::Serviceinstance(args)) => named::<ServiceInstance>(app, &args),
        Some(Get::Servicebinding(args)) => named::<ServiceBinding>(app, &args),
        Some(Get::Orphans(args)) => {
            arity::at_most(&args.names, 0)?;
            named::<Orphan>(app, &args)
        }
        Some(Get::Other(words)) => Ok(unknown(&words)),
    }
}

/// Most nouns: a name or none, and nothing else.
fn named<N: Noun>(app: &App, args: &NameArgs) -> Result<Outcome, CliError> {
    arity::at_most(&args.names, 1)?;
    let name = args.names.first().map(String::as_str);
    let wanted = Wanted { name, query: &[], watch: args.watch.watch };
    app.connected(async |session| show::<N>(&session, &wanted, "").await)
}

async fn classes(session: Session, args: ClassArgs) -> Result<(), CliError> {
    arity::at_most(&args.names, 1)?;
    let name = args.names.first().map(String::as_str);
    let mut query = Vec::new();
    if let Some(broker) = &args.broker {
        query.push(("broker", broker.as_str()));
    }
    if args.available && name.is_none() {
        query.push(("available", "true"));
    }
    let wanted = Wanted { name, query: &query, watch: args.watch.watch };
    show::<ServiceClass>(&session, &wanted, "").await
}

/// Gets and prints one object, or the list, below a text, which is printed only when there is something to print below
/// it.
async fn show<N: Noun>(session: &Session, wanted: &Wanted<'_>, text: &str) -> Result<(), CliError> {
    if wanted.watch {
        session.console.block(text)?;
        return watch::run::<N>(session, wanted).await;
    }
    match wanted.name {
        Some(name) => {
            let found = one::<N>(session, name, wanted.query).await?;
            session.console.block(text)?;
            print(session.console, &[found.body], &found.raw)
        }
        None => {
            let found: Received<Vec<N>> =
                session.call(N::OPERATIONS.list, &[], wanted.query, NO_BODY).await?;
            session.console.block(text)?;
            print(session.console, &found.body, &found.raw)
        }
    }
}

/// One object by its name; a slip in the name is pointed out.
pub async fn one<N: Noun>(
    session: &Session,
    name: &str,
    query: &[(&str, &str)],
) -> Result<Received<N>, CliError> {
    let get: Operation = N::OPERATIONS.get.expect("only kinds that can be looked at are asked for");
    match session.call(get, &[name], query, NO_BODY).await {
        Ok(found) => Ok(found),
        Err(error) => Err(suggest::similar::<N>(session, name, error).await),
    }
}

/// Prints objects in the format that was asked for.
pub fn print<N: Noun>(console: Console, objects: &[N], raw: &RawValue) -> Result<(), CliError> {
    match console.format {
        Format::Json | Format::Yaml => console.document(raw),
        Format::Name => objects.iter().try_for_each(|object| console.line(&object.name())),
        Format::Table => console.block(&table(objects.iter(), false).render()),
        Format::Wide => console.block(&table(objects.iter(), true).render()),
    }
}

fn table<'n, N: Noun + 'n>(objects: impl Iterator<Item = &'n N>, wide: bool) -> Table {
    let header = if wide { [N::HEADER, N::WIDE].concat() } else { N::HEADER.to_vec() };
    let mut table = Table::new(&header).ruled(N::RULED);
    for object in objects {
        let mut cells = object.cells();
        if wide {
            cells.extend(object.wide());
        }
        table.row(cells);
    }
    table
}
