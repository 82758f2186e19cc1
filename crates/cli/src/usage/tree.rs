//! The tree of all commands, in the shape in which it is parsed, explained, completed and written as manual pages.

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::{args::CommandLine, usage::examples};

pub const GLOBAL: &str = "Global Flags";

pub fn command() -> Command {
    let mut command = shaped(CommandLine::command(), "");
    // Only now do the commands have the flags that all of them take.
    command.build();
    LOCAL.iter().fold(command, |command, name| command.mut_subcommand(name, alone))
}

/// Commands that talk to no server. They show no flags about one.
const LOCAL: &[&str] = &["server", "broker", "completion", "man"];

fn alone(command: Command) -> Command {
    command
        .mut_args(|arg| {
            let global = arg.get_help_heading() == Some(GLOBAL);
            if global { arg.hide(true) } else { arg }
        })
        .mut_subcommands(alone)
}

/// Headings as the first command line had them, in every command. What is given twice counts as given last, as there.
fn shaped(command: Command, above: &str) -> Command {
    let path = format!("{above} {}", command.get_name());
    let path = path.trim_start_matches(" dispatch").trim_start().to_owned();
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::HelpShort)
        .help(format!("Help for {}", command.get_name()))
        .help_heading("Flags");
    let example = examples::of(&path).map(|line| format!("Example:\n  {line}"));
    let command = match example {
        Some(example) => command.after_help(example),
        None => command,
    };
    command
        .disable_help_flag(true)
        .args_override_self(true)
        .arg(help)
        .subcommand_help_heading("Available Commands")
        .help_template("{about-with-newline}\nUsage:\n  {usage}\n\n{all-args}{after-help}")
        .mut_args(|arg| {
            let untitled = arg.get_help_heading().is_none() && !arg.is_positional();
            if untitled { arg.help_heading("Flags") } else { arg }
        })
        .mut_subcommands(|below| shaped(below, &path))
}

/// The command at the end of the path, or the last one that exists on the way.
pub fn at<'c>(command: &'c Command, path: &[String]) -> &'c Command {
    let below = path
        .split_first()
        .and_then(|(name, rest)| command.find_subcommand(name).map(|below| at(below, rest)));
    below.unwrap_or(command)
}

/// The same, to be rendered.
pub fn find<'c>(command: &'c mut Command, path: &[String]) -> &'c mut Command {
    match path.split_first() {
        Some((name, rest)) if command.find_subcommand(name).is_some() => {
            find(command.find_subcommand_mut(name).expect("it was found a line above"), rest)
        }
        _ => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_contradict_themselves_nowhere() {
        command().debug_assert();
    }
}
