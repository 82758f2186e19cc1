//! `dispatch server check-config`: what a server would be told, every fault of it, and what of the machine is in the
//! way. It starts nothing, makes nothing and opens no data.

use dispatch_server::{
    config::{Source, USER},
    preflight::{self, Obstacle},
};

use super::{Flags, no_usual_user, run_as, settings};
use crate::{
    error::CliError,
    output::{Console, columns},
};

pub fn run(console: Console, flags: &Flags) -> Result<(), CliError> {
    let is_root = rustix::process::geteuid().is_root();
    let read = settings::resolve(flags, &settings::environment(), is_root)?;
    let settings = &read.resolved.settings;
    let mut faults = Vec::new();
    let mut fault = |key: &str, why: &str| {
        let place = match read.resolved.source(key) {
            Source::Default => String::new(),
            source => format!("{source}: "),
        };
        faults.push(format!("{place}{key}: {why}"));
    };
    let user = match run_as(&settings.user, is_root) {
        Ok(user) => user,
        Err(error) => {
            fault("user", error.text().trim_end());
            None
        }
    };
    for Obstacle { key, why, remedy } in preflight::obstacles(settings, user.as_ref()) {
        fault(key, &format!("{why}: {remedy}"));
    }
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
