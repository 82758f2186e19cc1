//! `dispatch server check-config`: what a server would be told, every fault of it, and what of the machine is in the
//! way. It starts nothing, makes nothing and opens no data.

use dispatch_server::{config::USER, preflight};

use super::{Flags, no_usual_user, run_as, settings};
use crate::{
    commands::daemon,
    error::CliError,
    output::{Console, columns},
};

pub fn run(console: Console, flags: &Flags) -> Result<(), CliError> {
    let is_root = rustix::process::geteuid().is_root();
    let read = settings::resolve(flags, &settings::environment(), is_root)?;
    let settings = &read.resolved.settings;
    let mut faults = Vec::new();
    if let Err(error) = daemon::filter(&settings.log) {
        faults.push(error.text().trim_end().to_owned());
    }
    let user = match run_as(&settings.user, is_root) {
        Ok(user) => user,
        Err(error) => {
            faults.push(format!("user: {}", error.text().trim_end()));
            None
        }
    };
    let obstacles = preflight::obstacles(settings, user.as_ref());
    faults.extend(obstacles.iter().map(ToString::to_string));
    if !faults.is_empty() {
        return Err(CliError::input(faults.join("\n")));
    }
    let shown = read.resolved.shown();
    let rows: Vec<Vec<String>> = shown
        .into_iter()
        .map(|(key, value, source)| vec![key, value, source.to_string()])
        .collect();
    console.block(&columns::aligned(&rows))?;
    if is_root && user.is_none() && settings.user == USER {
        console.note(&no_usual_user());
    }
    console.note(&match &read.file {
        Some(file) => format!("{} is good", file.display()),
        None => "there is no server.toml; the rest is good".to_owned(),
    });
    Ok(())
}
