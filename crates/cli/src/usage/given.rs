//! The arguments as they were given, before they are parsed: what the first command line allowed and the parser does
//! not know.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use clap::{ArgAction, Command};

/// The arguments as the parser of `command` takes them.
pub fn readable(command: &Command, arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let arguments: Vec<OsString> = named(arguments).collect();
    let has_value = |argument: &OsString| {
        argument.to_str().is_some_and(|text| text.starts_with("--") && text.contains('='))
    };
    if arguments.iter().any(has_value) { switches(command, arguments) } else { arguments }
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

/// `--wait=true` becomes `--wait`, `--wait=false` nothing: so the first command line switched a flag on and off.
fn switches(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let mut rest = false;
    let one = |argument: OsString| {
        rest = rest || argument == "--";
        let Some(text) = argument.to_str().filter(|_| !rest) else { return Some(argument) };
        let switch = text.strip_prefix("--").and_then(|flag| flag.split_once('='));
        let switch = switch.filter(|(name, _)| is_switch(command, name));
        match switch.and_then(|(name, value)| Some((name, truth(value).ok()?))) {
            Some((name, true)) => Some(format!("--{name}").into()),
            Some((_, false)) => None,
            None => Some(argument),
        }
    };
    arguments.into_iter().filter_map(one).collect()
}

/// A flag without a value, of this command or of one below it.
fn is_switch(command: &Command, name: &str) -> bool {
    let is_it = |arg: &clap::Arg| {
        arg.get_long() == Some(name) && matches!(arg.get_action(), ArgAction::SetTrue)
    };
    command.get_arguments().any(is_it)
        || command.get_subcommands().any(|below| is_switch(below, name))
}

/// What the first command line took for a truth value.
pub fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::tree;

    fn check(given: &[&str], expect: &[&str]) {
        let got = readable(&tree::command(), given.iter().map(OsString::from));
        assert_eq!(got, expect.iter().map(OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_link_with_the_name_of_a_command_is_that_command() {
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
        check(&["dispatch", "--wait=true", "--last=1"], &["dispatch", "--wait", "--last"]);
        check(&["dispatch", "--follow=false", "x"], &["dispatch", "x"]);
        check(&["dispatch", "--wait=perhaps"], &["dispatch", "--wait=perhaps"]);
        check(&["dispatch", "--input=true"], &["dispatch", "--input=true"]);
        // These have a value, because `false` wins over the environment.
        check(&["dispatch", "--json=false"], &["dispatch", "--json=false"]);
        check(&["dispatch", "--", "--wait=true"], &["dispatch", "--", "--wait=true"]);
    }
}
