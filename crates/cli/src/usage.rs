//! From the arguments to an exit code: parsing, and saying what was wrong with them in the words of the first
//! command line (contract §3.1), which scripts know.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::ExitCode,
};

use clap::{
    Arg, ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    args::CommandLine,
    commands,
    error::{CliError, Kind},
    outcome::Outcome,
    output::{Console, Format, clean},
    suggest,
};

/// Flags without a value. `--wait=false` is how the first command line switched one off.
const SWITCHES: &[&str] = &[
    "all",
    "cascade",
    "cors",
    "debug",
    "disable",
    "https-only",
    "if-unused",
    "insecure",
    "json",
    "purge",
    "wait",
    "yes",
];

pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut command = command();
    let arguments: Vec<OsString> = switches(named(arguments)).collect();
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

fn command() -> Command {
    let mut command = shaped(CommandLine::command());
    // Only now do the commands have the flags that all of them take.
    command.build();
    command.mut_subcommand("server", alone).mut_subcommand("broker", alone)
}

/// A command that talks to no server shows no flags about one.
fn alone(command: Command) -> Command {
    command
        .mut_args(|arg| {
            let global = arg.get_help_heading() == Some("Global Flags");
            if global { arg.hide(true) } else { arg }
        })
        .mut_subcommands(alone)
}

/// Headings as the first command line had them, in every command.
fn shaped(command: Command) -> Command {
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::HelpShort)
        .help(format!("Help for {}", command.get_name()))
        .help_heading("Flags");
    command
        .disable_help_flag(true)
        .arg(help)
        .subcommand_help_heading("Available Commands")
        .help_template("{about-with-newline}\nUsage:\n  {usage}\n\n{all-args}{after-help}")
        .mut_args(|arg| {
            let untitled = arg.get_help_heading().is_none() && !arg.is_positional();
            if untitled { arg.help_heading("Flags") } else { arg }
        })
        .mut_subcommands(shaped)
}

/// A link to this program called `dispatch-server` or `dispatch-broker` is that command.
fn named(mut arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let program = arguments.next().unwrap_or_else(|| "dispatch".into());
    let name = Path::new(&program).file_name().and_then(OsStr::to_str);
    let verb = match name.and_then(|name| name.strip_prefix("dispatch-")) {
        Some("server") => Some("server".into()),
        Some("broker") => Some("broker".into()),
        _ => None,
    };
    std::iter::once(program).chain(verb).chain(arguments)
}

/// `--wait=true` becomes `--wait`, `--wait=false` nothing.
fn switches(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut rest = false;
    arguments.filter_map(move |argument| {
        rest = rest || argument == "--";
        let Some(text) = argument.to_str().filter(|_| !rest) else { return Some(argument) };
        let switch = text.strip_prefix("--").and_then(|flag| flag.split_once('='));
        match switch.filter(|(name, _)| SWITCHES.contains(name)) {
            Some((name, "1" | "t" | "T" | "true" | "TRUE" | "True")) => {
                Some(format!("--{name}").into())
            }
            Some((_, "0" | "f" | "F" | "false" | "FALSE" | "False")) => None,
            _ => Some(argument),
        }
    })
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
        Ok(Outcome::Help { note }) => {
            if let Some(note) = note {
                console.note(&note);
            }
            print_help(console, find(command, path))
        }
        // Whoever reads the output has seen enough.
        Err(CliError { kind: Kind::Output(error), .. })
            if error.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            let usage =
                matches!(error.kind, Kind::Arguments(_)).then(|| usage(find(command, path)));
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

/// The command at the end of the path, or the last one that exists on the way.
fn find<'c>(command: &'c mut Command, path: &[String]) -> &'c mut Command {
    let Some((name, rest)) = path.split_first() else { return command };
    if command.find_subcommand(name).is_none() {
        return command;
    }
    find(command.find_subcommand_mut(name).expect("it was found a line above"), rest)
}

/// How a command is used, without the flags that all commands have.
fn usage(command: &Command) -> String {
    let mut own = command.clone().about(None::<&str>).long_about(None::<&str>);
    own = own.mut_args(|arg| {
        let global = arg.get_help_heading() == Some("Global Flags");
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

/// What the parser refused, in the words of the first command line.
fn refuse(command: &mut Command, error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let console = Console { format: Format::Table };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            finish(command, &[], console.block(&error.to_string()).map(|()| Outcome::Done))
        }
        ErrorKind::InvalidSubcommand => {
            let name = clean::line(&context(error, ContextKind::InvalidSubcommand));
            let root = command.get_name().to_owned();
            let known = command.get_subcommands().map(Command::get_name);
            let close = suggest::closest(&name, known)
                .map(|close| format!("\nDid you mean this?\n\t{close}\n\n"))
                .unwrap_or_default();
            say(&format!(
                "Error: unknown command \"{name}\" for \"{root}\"\n{close}Run '{root} --help' for usage.\n"
            ));
            ExitCode::FAILURE
        }
        _ => {
            let path = words(command, arguments);
            finish(command, &path, Err(CliError::arguments(wording(error))))
        }
    }
}

/// The commands that a refused command line was about, as far as it can be told.
fn words(command: &Command, arguments: &[OsString]) -> Vec<String> {
    let mut names = Vec::new();
    let mut command = command;
    for argument in arguments.iter().skip(1).filter_map(|argument| argument.to_str()) {
        if let Some(inner) = command.find_subcommand(argument) {
            names.push(inner.get_name().to_owned());
            command = inner;
        }
    }
    names
}

fn wording(error: &clap::Error) -> String {
    let argument = clean::line(&context(error, ContextKind::InvalidArg));
    let value = clean::line(&context(error, ContextKind::InvalidValue));
    let flag = argument.split_whitespace().next().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => match argument.strip_prefix("--") {
            Some(_) => format!("unknown flag: {}", flag.split('=').next().unwrap_or_default()),
            None if !argument.starts_with('-') => {
                format!("unknown command \"{argument}\"")
            }
            None => {
                let letter = argument.trim_start_matches('-');
                format!("unknown shorthand flag: '{letter}' in -{letter}")
            }
        },
        ErrorKind::InvalidValue if value.is_empty() => format!("flag needs an argument: {flag}"),
        ErrorKind::InvalidValue => {
            let valid = context(error, ContextKind::ValidValue);
            format!("invalid argument \"{value}\" for \"{flag}\" flag: must be one of {valid}")
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("invalid argument \"{value}\" for \"{flag}\" flag: {}", clean::line(&why))
        }
        ErrorKind::MissingRequiredArgument => {
            let names = argument.split(", ").map(|flag| {
                let flag = flag.split_whitespace().next().unwrap_or_default();
                format!("\"{}\"", flag.trim_start_matches('-'))
            });
            format!("required flag(s) {} not set", names.collect::<Vec<_>>().join(", "))
        }
        ErrorKind::ArgumentConflict => {
            let other = clean::line(&context(error, ContextKind::PriorArg));
            format!("{argument} cannot be given together with {other}")
        }
        _ => clean::line(
            error.to_string().trim_start_matches("error: ").lines().next().unwrap_or(""),
        ),
    }
}

/// What the parser says of one aspect of its error, as text.
fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_contradict_themselves_nowhere() {
        command().debug_assert();
    }

    #[test]
    fn a_link_with_the_name_of_a_command_is_that_command() {
        let check = |given: &[&str], expect: &[&str]| {
            let got: Vec<OsString> = named(given.iter().map(OsString::from)).collect();
            assert_eq!(got, expect.iter().map(OsString::from).collect::<Vec<_>>());
        };
        check(
            &["/usr/bin/dispatch-server", "--port", "1"],
            &["/usr/bin/dispatch-server", "server", "--port", "1"],
        );
        check(&["dispatch-broker", "postgresql"], &["dispatch-broker", "broker", "postgresql"]);
        check(&["./dispatch", "get"], &["./dispatch", "get"]);
        check(&["dispatch-solo"], &["dispatch-solo"]);
    }

    #[test]
    fn a_switch_may_be_given_a_truth_value() {
        let check = |given: &[&str], expect: &[&str]| {
            let got: Vec<OsString> = switches(given.iter().map(OsString::from)).collect();
            assert_eq!(got, expect.iter().map(OsString::from).collect::<Vec<_>>());
        };
        check(&["--wait=true", "--json=1"], &["--wait", "--json"]);
        check(&["--wait=false", "x"], &["x"]);
        check(&["--wait=perhaps"], &["--wait=perhaps"]);
        check(&["--input=true"], &["--input=true"]);
        check(&["--", "--wait=true"], &["--", "--wait=true"]);
    }
}
