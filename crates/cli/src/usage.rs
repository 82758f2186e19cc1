//! From the arguments to an exit code.

mod examples;
mod given;
mod refusal;
pub mod tree;

use std::{ffi::OsString, process::ExitCode};

use clap::{
    ArgMatches, Command, FromArgMatches as _,
    error::{ContextKind, ErrorKind},
};

use crate::{
    args::CommandLine,
    commands,
    error::{CliError, Kind},
    outcome::Outcome,
    output::{Console, Format, clean},
};
pub use given::truth;

pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut command = tree::command();
    let arguments = given::readable(&command, arguments);
    let matches = match command.try_get_matches_from_mut(&arguments) {
        Ok(matches) => matches,
        Err(error) => return refuse(&mut command, &error, &arguments),
    };
    let line = match CommandLine::from_arg_matches(&matches) {
        Ok(line) => line,
        Err(error) => return refuse(&mut command, &error, &arguments),
    };
    let path = path(&matches);
    finish(&mut command, &path, commands::run(line))
}

/// The names of the commands that were chosen: `["create", "secret"]`.
fn path(matches: &ArgMatches) -> Vec<String> {
    let mut names = Vec::new();
    let mut matches = matches;
    while let Some((name, inner)) = matches.subcommand() {
        names.push(name.to_owned());
        matches = inner;
    }
    names
}

fn finish(command: &mut Command, path: &[String], outcome: Result<Outcome, CliError>) -> ExitCode {
    let console = Console { format: Format::Table };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Help) => print_help(console, tree::find(command, path)),
        Ok(Outcome::HelpFor(words)) => help_for(console, command, &words),
        Ok(Outcome::Unknown { word }) => {
            let verb = path.get(..path.len().saturating_sub(1)).unwrap_or_default();
            let command = tree::find(command, verb);
            console.note(&refusal::unknown_noun(command, verb, &word));
            print_help(console, command)
        }
        // Whoever reads the output has seen enough.
        Err(CliError { kind: Kind::Output(error), .. })
            if error.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            let usage =
                matches!(error.kind, Kind::Arguments(_)).then(|| usage(tree::find(command, path)));
            say(&format!("{}{}", error.text(), usage.unwrap_or_default()));
            ExitCode::FAILURE
        }
    }
}

fn print_help(console: Console, command: &mut Command) -> ExitCode {
    match console.block(&command.render_help().to_string()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => finish(command, &[], Err(error)),
    }
}

/// `dispatch help create secret`.
fn help_for(console: Console, command: &mut Command, words: &[String]) -> ExitCode {
    for (index, word) in words.iter().enumerate() {
        let above = words.get(..index).unwrap_or_default();
        if tree::at(command, above).find_subcommand(word).is_none() {
            say(&refusal::unknown_command(command, above, &clean::line(word)));
            return ExitCode::FAILURE;
        }
    }
    print_help(console, tree::find(command, words))
}

/// How a command is used, without the flags that all commands have.
fn usage(command: &Command) -> String {
    let mut own = command.clone().about(None::<&str>).long_about(None::<&str>);
    own = own.mut_args(|arg| {
        let global = arg.get_help_heading() == Some(tree::GLOBAL);
        let hidden = arg.is_hide_set();
        arg.hide(global || hidden)
    });
    let text = own.help_template("Usage:\n  {usage}\n\n{all-args}").render_help().to_string();
    format!("{}\n", text.trim_end())
}

fn say(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// What the parser did not take.
fn refuse(command: &mut Command, error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let console = Console { format: Format::Table };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            finish(command, &[], console.block(&error.to_string()).map(|()| Outcome::Done))
        }
        ErrorKind::InvalidSubcommand => {
            let name = clean::line(&refusal::context(error, ContextKind::InvalidSubcommand));
            let path = refusal::words(command, arguments);
            say(&refusal::unknown_command(command, &path, &name));
            ExitCode::FAILURE
        }
        _ => {
            let path = refusal::words(command, arguments);
            let error = refusal::explained(command, &path, error);
            finish(command, &path, Err(error))
        }
    }
}
