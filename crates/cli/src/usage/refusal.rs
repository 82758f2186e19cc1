//! What was wrong with the arguments, in the words of the first command line (contract §3.1), which scripts know, and
//! what may have been meant.

use std::ffi::OsString;

use clap::{
    Command,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    error::CliError,
    output::clean,
    suggest,
    usage::{examples, tree},
};

/// A verb that does not exist, or a noun of one of our own verbs. The lines before the last two are cobra's.
pub fn unknown_command(root: &Command, path: &[String], name: &str) -> String {
    let command = tree::at(root, path);
    let above = path.iter().map(|word| format!(" {word}"));
    let line = above.fold(root.get_name().to_owned(), |line, word| line + &word);
    let meant = if path.is_empty() { verb(root, name) } else { closest(command, name) };
    let close = meant.as_ref().map(|close| format!("\nDid you mean this?\n\t{close}\n\n"));
    let example =
        meant.and_then(|close| examples::of(format!("{} {close}", path.join(" ")).trim()));
    let example = example.map(|line| format!("For example: {line}\n"));
    format!(
        "Error: unknown command \"{name}\" for \"{line}\"\n{}{}Run '{line} --help' for usage.\n",
        close.unwrap_or_default(),
        example.unwrap_or_default(),
    )
}

/// A verb, or a verb and its noun, for a word that is no verb.
fn verb(root: &Command, name: &str) -> Option<String> {
    if let Some((_, verb)) = SYNONYMS.iter().find(|(word, _)| *word == name) {
        return Some((*verb).to_owned());
    }
    if let Some(close) = closest(root, name) {
        return Some(close);
    }
    let get = root.find_subcommand("get")?;
    Some(format!("get {}", closest(get, name)?))
}

/// Verbs of other command lines.
const SYNONYMS: &[(&str, &str)] = &[
    ("add", "create"),
    ("call", "exec"),
    ("config", "manage"),
    ("context", "manage"),
    ("diagnose", "doctor"),
    ("invoke", "exec"),
    ("list", "get"),
    ("ls", "get"),
    ("new", "create"),
    ("remove", "delete"),
    ("rm", "delete"),
    ("run", "exec"),
    ("serve", "server"),
    ("show", "describe"),
    ("start", "server"),
];

/// The subcommand whose name, or another name of it, is the closest.
fn closest(command: &Command, name: &str) -> Option<String> {
    let visible = || command.get_subcommands().filter(|below| !below.is_hide_set());
    let names = visible().flat_map(|below| below.get_all_aliases().chain([below.get_name()]));
    let close = suggest::closest(name, names)?;
    command.find_subcommand(close).map(|below| below.get_name().to_owned())
}

/// The note about a resource type that a verb does not have.
pub fn unknown_noun(command: &Command, path: &[String], word: &str) -> String {
    let mut text = format!("unknown resource type \"{word}\"");
    if let Some(close) = closest(command, word) {
        let example = examples::of(&format!("{} {close}", path.join(" ")));
        text.push_str(&format!("; did you mean {close}?"));
        text.push_str(&example.map(|line| format!(" For example: {line}")).unwrap_or_default());
    }
    text
}

/// What the parser refused, with what may have been meant. `path` are the commands that it was about.
pub fn explained(root: &Command, path: &[String], error: &clap::Error) -> CliError {
    let refusal = CliError::arguments(wording(error, path));
    let command = tree::at(root, path);
    let known: Vec<String> = match error.kind() {
        ErrorKind::UnknownArgument => {
            let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
            shown.filter_map(|arg| arg.get_long()).map(|long| format!("--{long}")).collect()
        }
        ErrorKind::InvalidValue => match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(values)) => values.clone(),
            _ => Vec::new(),
        },
        _ => return refusal,
    };
    let kind = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        _ => ContextKind::InvalidValue,
    };
    let given = clean::line(&context(error, kind));
    let given = given.split('=').next().unwrap_or_default();
    if !given.starts_with('-') && known.iter().any(|flag| flag == "--file") {
        return refusal.hint(format!("did you mean -f {given}?"));
    }
    let Some(close) = suggest::closest(given, known.iter().map(String::as_str)) else {
        return refusal;
    };
    let example = examples::of(&path.join(" "));
    let example = example.map(|line| format!(" For example: {line}")).unwrap_or_default();
    refusal.hint(format!("did you mean {close}?{example}"))
}

/// The commands that a refused command line was about, as far as it can be told.
pub fn words(command: &Command, arguments: &[OsString]) -> Vec<String> {
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

fn wording(error: &clap::Error, path: &[String]) -> String {
    let argument = clean::line(&context(error, ContextKind::InvalidArg));
    let value = clean::line(&context(error, ContextKind::InvalidValue));
    let flag = flag(&argument);
    match error.kind() {
        ErrorKind::UnknownArgument => match argument.strip_prefix("--") {
            Some(_) => format!("unknown flag: {flag}"),
            None if !argument.starts_with('-') => {
                format!("unknown command \"{argument}\" for \"dispatch {}\"", path.join(" "))
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
            // What the standard library says of a number.
            let why = why.replace("invalid digit found in string", "it is not a whole number");
            format!("invalid argument \"{value}\" for \"{flag}\" flag: {}", clean::line(&why))
        }
        ErrorKind::MissingRequiredArgument => {
            let names = argument
                .split(", ")
                .map(|argument| format!("\"{}\"", self::flag(argument).trim_start_matches('-')));
            format!("required flag(s) {} not set", names.collect::<Vec<_>>().join(", "))
        }
        // Of a command that has flags and commands below it.
        ErrorKind::ArgumentConflict if argument.is_empty() => {
            let other = clean::line(&context(error, ContextKind::PriorArg));
            let command = path.last().map_or("", String::as_str);
            format!("{} goes after {command}", self::flag(&other))
        }
        ErrorKind::ArgumentConflict => {
            let other = clean::line(&context(error, ContextKind::PriorArg));
            format!("{flag} cannot be given together with {}", self::flag(&other))
        }
        _ => clean::line(
            error.to_string().trim_start_matches("error: ").lines().next().unwrap_or(""),
        ),
    }
}

/// `--output` of `--output <FORMAT>`, `--json` of `--json[=<BOOL>]`.
fn flag(argument: &str) -> &str {
    argument.split([' ', '[', '=']).next().unwrap_or_default()
}

/// What the parser says of one aspect of its error, as text.
pub fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
