//! `dispatch get secret [NAME]`. Values are shown only where they are asked for: `--all`, `--json`, `-o yaml`.

use dispatch_api::secret::Secret;

use crate::{
    commands::{
        arity,
        get::{self, Wanted, WatchArgs},
    },
    error::CliError,
    output::{Console, Format},
    session::Session,
};

/// Above the table, on stdout, as the first command line printed it.
const HIDDEN: &str = "Note: secret values are hidden, please use --all flag to get them\n\n";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Also get secret content (in json format)
    #[arg(long)]
    all: bool,
    /// Accepted for old scripts; nothing is filtered
    #[arg(short, long, value_name = "NAME")]
    application: Option<String>,
    #[command(flatten)]
    watch: WatchArgs,
}

pub async fn run(mut session: Session, args: Args) -> Result<(), CliError> {
    arity::at_most(&args.names, 1)?;
    let console = &mut session.console;
    if args.all && !console.is_for_programs() {
        *console = Console { format: Format::Json };
    }
    let note = match console.format {
        Format::Table | Format::Wide => HIDDEN,
        _ => "",
    };
    let name = args.names.first().map(String::as_str);
    let wanted = Wanted { name, query: &[], watch: args.watch.watch };
    get::show::<Secret>(&session, &wanted, note).await
}
