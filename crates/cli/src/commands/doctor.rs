//! `dispatch doctor`: what this machine allows, what is there, and what to do about the rest. It needs no server, makes
//! nothing in the data directory, and tries sandboxes with the same spawner that a server has.

mod check;
mod interpreters;
mod kernel;
mod place;
mod sandbox;
mod server;
mod services;

use std::path::PathBuf;

use dispatch_runtime::host::Language;
use serde::Serialize;

use crate::{
    commands::{
        App,
        server::{Flags, settings},
    },
    error::{CliError, Kind},
    output::{Console, columns},
};
use check::Check;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Settings of the server (default server.toml in the configuration directory; DISPATCH_SERVER_CONFIG)
    #[arg(long, value_name = "FILE")]
    server_config: Option<PathBuf>,
    /// The server's data directory (DISPATCH_SERVER_DATA)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What an ordinary user's sandboxes are held by; for root, who starts this again as one
    #[arg(long, hide = true)]
    try_sandbox: bool,
}

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether functions can run here.
    functions: bool,
    checks: Vec<Check>,
}

/// Must be called while this process has one thread: it starts a spawn helper.
pub fn run(app: &App, args: &Args) -> Result<(), CliError> {
    if args.try_sandbox {
        return sandbox::as_this_user(app.console);
    }
    let flags = Flags::only(args.server_config.clone(), args.data.clone());
    let is_root = rustix::process::geteuid().is_root();
    let read = settings::resolve(&flags, &settings::environment(), is_root);
    let settings = read.as_ref().ok().map(|read| &read.resolved.settings);
    let mut checks = kernel::checks(is_root);
    let found = interpreters::find();
    let tried = sandbox::start(settings, &found);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let spawner = sandbox::checks(tried, is_root, &mut checks).await;
        checks.extend(interpreters::checks(found, spawner.as_ref()).await);
        if let Some(spawner) = spawner {
            spawner.shut_down().await;
        }
        checks.extend(services::checks());
        checks.extend(place::checks(&read, is_root));
        checks.extend(server::checks(app).await);
    });
    report(app.console, checks)
}

/// Without an interpreter there is nothing to run functions with; one of them is enough.
fn decide(checks: &mut [Check]) {
    let is_interpreter = |check: &Check| {
        Language::ALL.iter().any(|language| check.name == interpreters::name(*language))
    };
    let none = !checks.iter().any(|check| is_interpreter(check) && check.is_ok());
    for check in checks.iter_mut().filter(|check| is_interpreter(check)) {
        check.decides = none;
    }
}

fn report(console: Console, mut checks: Vec<Check>) -> Result<(), CliError> {
    decide(&mut checks);
    let in_the_way: Vec<String> = checks
        .iter()
        .filter(|check| check.decides && !check.is_ok())
        .map(|check| check.name.clone())
        .collect();
    let report = Report { functions: in_the_way.is_empty(), checks };
    if console.is_for_programs() {
        console.json(&serde_json::to_string(&report).expect("a report is plain data"))?;
    } else {
        console.block(&text(&report.checks))?;
        console.line(&match in_the_way.as_slice() {
            [] => "\nfunctions can run on this machine".to_owned(),
            names => format!("\nfunctions cannot run on this machine: {}", names.join(", ")),
        })?;
    }
    if report.functions { Ok(()) } else { Err(Kind::Said.into()) }
}

/// A line for each, and below what is not well what to do.
fn text(checks: &[Check]) -> String {
    let rows: Vec<Vec<String>> = checks.iter().map(Check::cells).collect();
    let table = columns::aligned(&rows);
    let lines = table.lines().zip(checks).map(|(line, check)| match &check.remedy {
        Some(remedy) => format!("{line}\n         {remedy}\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_interpreter_is_enough_and_none_is_not() {
        let check = |python: Check, node: Check, expect: &[bool]| {
            let mut checks = vec![Check::ok("kernel", "x"), python, node];
            decide(&mut checks);
            assert_eq!(checks.iter().map(|check| check.decides).collect::<Vec<_>>(), expect);
        };
        let python = || Check::ok("interpreter.python3", "3.11.2");
        let node = || Check::missing("interpreter.nodejs", "none", "apt-get install nodejs");
        check(python(), node(), &[false, false, false]);
        let no_python = Check::missing("interpreter.python3", "none", "apt-get install python3");
        check(no_python, node(), &[false, true, true]);
    }

    #[test]
    fn lines_are_aligned_and_what_to_do_stands_below() {
        let checks = [
            Check::ok("kernel", "Linux 6.1"),
            Check::off("sandbox.landlock", "not yet", "nothing to do"),
        ];
        let expect = "ok       kernel            Linux 6.1\n\
                      off      sandbox.landlock  not yet\n         nothing to do\n";
        assert_eq!(text(&checks), expect);
    }
}
