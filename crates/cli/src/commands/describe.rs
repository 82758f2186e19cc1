//! `dispatch describe`: what a thing offers and how to use it.

mod schema;
pub mod service_class;

use clap::Subcommand;
use dispatch_api::{
    api::Api, base_image::BaseImage, function::Function, image::Image, secret::Secret,
    service_binding::ServiceBinding, service_broker::ServiceBroker,
    service_instance::ServiceInstance,
};

use crate::{
    commands::{App, arity, get},
    error::CliError,
    nouns::Noun,
    outcome::Outcome,
    output::{Format, clean},
    session::Session,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    noun: Option<Describe>,
}

#[derive(Debug, Subcommand)]
enum Describe {
    /// Everything that is known of an API
    #[command(alias = "apis", override_usage = "dispatch describe api NAME [flags]")]
    Api(NameArgs),
    /// Everything that is known of a base image
    #[command(alias = "base-images", override_usage = "dispatch describe base-image NAME [flags]")]
    BaseImage(NameArgs),
    /// Everything that is known of a function
    #[command(alias = "functions", override_usage = "dispatch describe function NAME [flags]")]
    Function(NameArgs),
    /// Everything that is known of an image
    #[command(alias = "images", override_usage = "dispatch describe image NAME [flags]")]
    Image(NameArgs),
    /// The keys of a secret; values only with --json or -o yaml
    #[command(alias = "secrets", override_usage = "dispatch describe secret NAME [flags]")]
    Secret(NameArgs),
    /// What a class gives, what its plans are, and which parameters they take
    #[command(
        aliases = ["serviceclasses", "class", "classes"],
        override_usage = "dispatch describe serviceclass NAME [flags]"
    )]
    Serviceclass(service_class::ClassArgs),
    /// Everything that is known of a broker
    #[command(
        aliases = ["servicebrokers", "broker", "brokers"],
        override_usage = "dispatch describe servicebroker NAME [flags]"
    )]
    Servicebroker(NameArgs),
    /// Everything that is known of an instance
    #[command(
        aliases = ["serviceinstances", "instance", "instances"],
        override_usage = "dispatch describe serviceinstance NAME [flags]"
    )]
    Serviceinstance(NameArgs),
    /// Everything that is known of a binding
    #[command(
        aliases = ["servicebindings", "binding", "bindings"],
        override_usage = "dispatch describe servicebinding NAME [flags]"
    )]
    Servicebinding(NameArgs),
}

#[derive(Debug, clap::Args)]
struct NameArgs {
    #[arg(hide = true)]
    names: Vec<String>,
}

pub fn run(app: &App, args: Args) -> Result<Outcome, CliError> {
    match args.noun {
        None => Ok(Outcome::Help),
        Some(Describe::Serviceclass(args)) => {
            app.connected(|session| service_class::run(session, args))
        }
        Some(Describe::Api(args)) => columns::<Api>(app, &args),
        Some(Describe::BaseImage(args)) => columns::<BaseImage>(app, &args),
        Some(Describe::Function(args)) => columns::<Function>(app, &args),
        Some(Describe::Image(args)) => columns::<Image>(app, &args),
        Some(Describe::Secret(args)) => columns::<Secret>(app, &args),
        Some(Describe::Servicebroker(args)) => columns::<ServiceBroker>(app, &args),
        Some(Describe::Serviceinstance(args)) => columns::<ServiceInstance>(app, &args),
        Some(Describe::Servicebinding(args)) => columns::<ServiceBinding>(app, &args),
    }
}

/// Most nouns: every column that there is, one below the other, and what has no column.
fn columns<N: Noun>(app: &App, args: &NameArgs) -> Result<Outcome, CliError> {
    let [name] = arity::exactly::<1>(&args.names)?;
    app.connected(async |session: Session| {
        let found = get::one::<N>(&session, name, &[]).await?;
        if !matches!(session.console.format, Format::Table | Format::Wide) {
            return get::print(session.console, &[found.body], &found.raw);
        }
        let titles = [N::HEADER, N::WIDE].concat();
        let cells = [found.body.cells(), found.body.wide()].concat();
        let mut rows: Vec<_> = titles.into_iter().zip(cells).chain(found.body.more()).collect();
        rows.retain(|(_, cell)| !cell.is_empty());
        let width = rows.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
        for (title, cell) in rows {
            let lines: Vec<String> = cell.split('\n').map(clean::line).collect();
            let text = lines.join(&format!("\n{}", " ".repeat(width + 2)));
            session.console.line(&format!("{title:<width$}  {text}"))?;
        }
        for line in found.body.log() {
            session.console.line(&format!("    {}", clean::line(line)))?;
        }
        Ok(())
    })
}
