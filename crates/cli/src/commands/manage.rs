//! `dispatch manage context`: which servers there are, and which one is meant.

use clap::Subcommand;

use crate::{
    commands::App,
    config::{Context, file::ConfigFile},
    error::CliError,
    outcome::{Outcome, unknown},
    output::{Format, Table, json},
    suggest,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: Option<Manage>,
}

#[derive(Debug, Subcommand)]
enum Manage {
    /// Manage context
    #[command(override_usage = "dispatch manage context [flags]")]
    Context(ContextArgs),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, clap::Args)]
struct ContextArgs {
    /// Use this context from now on
    #[arg(short, long, value_name = "NAME")]
    set: Option<String>,
}

pub fn run(app: &App, args: Args) -> Result<Outcome, CliError> {
    match args.what {
        None => Ok(Outcome::Help),
        Some(Manage::Context(args)) => context(app, args).map(|()| Outcome::Done),
        Some(Manage::Other(words)) => Ok(unknown(&words)),
    }
}

fn context(app: &App, args: ContextArgs) -> Result<(), CliError> {
    let (path, named) = app.config_path();
    let mut file = ConfigFile::read(&path, named)?;
    let Some(name) = args.set else { return show(app, &file) };
    if !file.contexts.contains_key(&name) {
        let error = CliError::input(format!("No such context {name}"));
        return Err(match suggest::closest(&name, file.contexts.keys().map(String::as_str)) {
            Some(close) => error.hint(format!("did you mean {close}?")),
            None => error.hint("see which there are: dispatch manage context"),
        });
    }
    file.current.clone_from(&name);
    file.write(&path)?;
    app.console.line(&format!("Set context to {name}"))
}

fn show(app: &App, file: &ConfigFile) -> Result<(), CliError> {
    if app.console.format == Format::Name {
        return file.contexts.keys().try_for_each(|name| app.console.line(name));
    }
    let mut table = Table::new(&["Context", "Config"]);
    for (name, context) in &file.contexts {
        let mark = if *name == file.current { "* " } else { "" };
        table.row(vec![format!("{mark}{name}"), masked(context)]);
    }
    app.console.block(&table.render())
}

/// As JSON, without what lets somebody in.
fn masked(context: &Context) -> String {
    let mut context = context.clone();
    if !context.cookie.is_empty() {
        "<hidden>".clone_into(&mut context.cookie);
    }
    if context.token.is_some() {
        context.token = Some("<hidden>".to_owned());
    }
    json::indented(&serde_json::to_string(&context).expect("a context is plain data"), 2)
}
