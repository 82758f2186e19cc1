//! `dispatch man DIR`, for whoever makes a package: a manual page for each command.

use std::{fs, io, path::Path};

use clap::Command;
use clap_mangen::Man;

use crate::{commands::arity, error::CliError, files, outcome::Outcome, usage::tree};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
}

pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let [folder] = arity::exactly::<1>(&args.names)?;
    let folder = Path::new(folder);
    let cannot = |error: io::Error| {
        CliError::input(format!("cannot write to {}: {}", folder.display(), files::why(&error)))
    };
    fs::create_dir_all(folder).map_err(cannot)?;
    pages(&tree::command(), "", folder).map_err(cannot)?;
    Ok(Outcome::Done)
}

/// The page of a command and those of the commands below it.
fn pages(command: &Command, above: &str, folder: &Path) -> io::Result<()> {
    let name = format!("{above}{}", command.get_name());
    fs::write(folder.join(format!("{name}.1")), page(command, &name)?)?;
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    below.into_iter().try_for_each(|below| pages(below, &format!("{name}-"), folder))
}

fn page(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    // The flags of all commands are on the first page.
    let is_first = name == command.get_name();
    let shown = command.clone().display_name(name.to_owned()).mut_args(|arg| {
        let hidden = !is_first && arg.get_help_heading() == Some(tree::GLOBAL);
        if hidden { arg.hide(true) } else { arg }
    });
    let has_below = shown.get_subcommands().next().is_some();
    let example = shown.get_after_help().map(ToString::to_string);
    let man = Man::new(shown);
    // Without a date, so that the same source gives the same pages.
    let version = env!("CARGO_PKG_VERSION");
    let title = format!(".TH \"{name}\" \"1\" \"\" \"dispatch {version}\" \"Dispatch\"\n");
    let mut page = title.into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    if has_below {
        man.render_subcommands_section(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    if let Some(example) = example {
        let line = example.lines().last().unwrap_or_default().trim();
        let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        page.extend(format!(".SH EXAMPLE\n.nf\n{line}\n.fi\n").into_bytes());
    }
    if !is_first {
        page.extend(
            b".SH \"SEE ALSO\"\nThe flags that all commands take are in\n.BR dispatch (1).\n",
        );
    }
    Ok(page)
}
