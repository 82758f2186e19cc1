//! `dispatch server`: from flags, environment and `server.toml` to a running control plane, until a signal.
//!
//! A flag wins over DISPATCH_SERVER_*, that over the file, that over the default (decision 16).

mod check_config;
mod flags;
mod machine;
mod refusal;
pub mod settings;
mod welcome;

use std::{pin::pin, sync::Arc};

use clap::Subcommand;
use dispatch_engine::{SystemClock, SystemEntropy};
use dispatch_server::{
    Running,
    config::{self, Settings},
    preflight,
    run_as::{RunAs, RunAsError},
    server::{Listeners, Parts},
};

use crate::{commands::daemon, error::CliError, output::Console};
pub use flags::Flags;

#[derive(Debug, Default, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    override_usage = "dispatch server [flags]\n  dispatch server check-config [flags]"
)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check the settings that a server would have, and start nothing
    #[command(override_usage = "dispatch server check-config [flags]")]
    CheckConfig(Flags),
}

pub fn run(console: Console, args: &Args) -> Result<(), CliError> {
    match &args.verb {
        None => serve(&args.flags),
        Some(Verb::CheckConfig(flags)) => check_config::run(console, flags),
    }
}

fn serve(flags: &Flags) -> Result<(), CliError> {
    let environment = settings::environment();
    let is_root = rustix::process::geteuid().is_root();
    let resolve = || {
        let read = settings::resolve(flags, &environment, is_root);
        read.map(|read| read.resolved.settings)
    };
    let mut settings = resolve()?;
    let log = daemon::log_to_stderr(&settings.log)?;
    let run_as = run_as(&settings.user, is_root)?;
    if let Some(obstacle) = preflight::obstacles(&settings, run_as.as_ref()).first() {
        return Err(refusal::obstacle(obstacle));
    }
    // From the first thing that is made on, nobody else can have what this server needs.
    machine::alone(&settings.data)?;
    let listeners = Listeners::bind(&settings).map_err(|error| refusal::of_start(&error))?;
    let prepared = machine::prepare(&mut settings)?;
    if run_as.is_none() && is_root && settings.user == config::USER {
        tracing::warn!("{}", no_usual_user());
    }
    daemon::run(async {
        let mut reloads = daemon::asked_to_reload()?;
        let mut asked_to_stop = pin!(daemon::asked_to_stop());
        let client_config = settings.client_config.clone();
        let parts = Parts {
            listeners,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            machine: prepared.machine()?,
            host_name: host_name(),
            run_as,
        };
        let running = tokio::select! {
            running = dispatch_server::start(settings, parts) => running,
            // What was begun is as after a crash, which every start takes up.
            () = &mut asked_to_stop => return Ok(()),
        };
        let running = running.map_err(|error| refusal::of_start(&error))?;
        daemon::say(&welcome::addresses(running.addresses));
        daemon::tell_service_manager("READY=1");
        if running.is_first {
            daemon::say(&welcome::first(&client_config).await);
        }
        loop {
            tokio::select! {
                () = &mut asked_to_stop => break,
                Some(()) = reloads.recv() => {
                    daemon::tell_service_manager("RELOADING=1");
                    reload(&running, &log, resolve());
                    daemon::tell_service_manager("READY=1");
                }
            }
        }
        daemon::tell_service_manager("STOPPING=1");
        running.stop().await;
        Ok(())
    })
}

/// What this machine is called, if clients could use that: names that are not set look like `(none)`.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let name = name.trim();
    (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
}

/// What is wrong with new settings is logged, and the server goes on with the old ones.
fn reload(running: &Running, log: &daemon::Log, settings: Result<Settings, CliError>) {
    let taken_over = settings.and_then(|settings| {
        let lines = daemon::filter(&settings.log)?;
        let later = running.reload(&settings).map_err(|error| daemon::failed(&error))?;
        log.change(lines).map(|()| later)
    });
    match taken_over {
        Ok(later) if later.is_empty() => tracing::info!("reloaded the settings"),
        Ok(later) => tracing::warn!(keys = later.join(", "), "reloaded; a restart is needed for"),
        Err(error) => tracing::error!(error = error.text(), "the settings stay as they were"),
    }
}

/// Who to go on as. The usual user may be missing, one that was named may not.
pub fn run_as(name: &str, is_root: bool) -> Result<Option<RunAs>, CliError> {
    if !is_root || name.is_empty() {
        return Ok(None);
    }
    match RunAs::find(name).map_err(|error| daemon::failed(&error))? {
        None if name != config::USER => {
            Err(daemon::failed(&RunAsError::Unknown { name: name.to_owned() }))
        }
        found => Ok(found),
    }
}

fn no_usual_user() -> String {
    let name = config::USER;
    format!("there is no user {name}: the server stays root (useradd --system {name} makes it)")
}
