//! `dispatch server`: from flags, environment and `server.toml` to a running control plane, until a signal.
//!
//! A flag wins over DISPATCH_SERVER_*, that over the file, that over the default (decision 16).

mod machine;
mod settings;

use std::{path::PathBuf, pin::pin, sync::Arc};

use dispatch_engine::{SystemClock, SystemEntropy};
use dispatch_server::{
    Running,
    config::{self, Settings},
    run_as::{RunAs, RunAsError},
    server::Parts,
};

use crate::{commands::daemon, error::CliError};

#[derive(Debug, Default, clap::Args)]
#[command(override_usage = "dispatch server [flags]")]
pub struct Args {
    /// Settings (default server.toml in the configuration directory; DISPATCH_SERVER_CONFIG)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept but the keys (DISPATCH_SERVER_DATA)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the keys are kept that secrets are sealed with (DISPATCH_SERVER_KEYS)
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Where the control plane listens (default 127.0.0.1:8080; DISPATCH_SERVER_LISTEN)
    #[arg(long, value_name = "ADDRESS[:PORT]", conflicts_with = "host")]
    listen: Option<String>,
    /// Address of all listeners (default 127.0.0.1)
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// Port of the control plane (default 8080); 0 takes a free one
    #[arg(long)]
    port: Option<u16>,
    /// Port of the gateway for HTTP (default 8081; DISPATCH_SERVER_GATEWAY_LISTEN)
    #[arg(long, value_name = "PORT")]
    gateway_port: Option<u16>,
    /// Port of the gateway for HTTPS (default 8444; DISPATCH_SERVER_GATEWAY_TLS_LISTEN)
    #[arg(long, value_name = "PORT")]
    gateway_tls_port: Option<u16>,
    /// Let everybody in, from this machine only (DISPATCH_SERVER_SKIP_AUTH)
    #[arg(long)]
    skip_auth: bool,
    /// Listen without TLS where others can listen in (DISPATCH_SERVER_INSECURE_LISTEN)
    #[arg(long)]
    insecure_listen: bool,
}

pub fn run(args: &Args) -> Result<(), CliError> {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let is_root = rustix::process::geteuid().is_root();
    let mut settings = settings::resolve(args, &environment, is_root)?;
    let prepared = machine::prepare(&mut settings)?;
    let log = daemon::log_to_stderr(&settings.log)?;
    daemon::run(async {
        let mut reloads = daemon::asked_to_reload()?;
        let mut asked_to_stop = pin!(daemon::asked_to_stop());
        let client_config = settings.client_config.clone();
        let parts = Parts {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            machine: prepared.machine()?,
            host_name: host_name(),
            run_as: run_as(&settings.user, is_root)?,
        };
        let running = tokio::select! {
            running = dispatch_server::start(settings, parts) => running,
            // What was begun is as after a crash, which every start takes up.
            () = &mut asked_to_stop => return Ok(()),
        };
        let running = running.map_err(|error| daemon::failed(&error))?;
        let addresses = running.addresses;
        daemon::say(&format!("dispatch server listens on http://{}", addresses.control_plane));
        if running.is_first {
            daemon::say(&format!("login for the command line: {}", client_config.display()));
        }
        daemon::tell_service_manager("READY=1");
        loop {
            tokio::select! {
                () = &mut asked_to_stop => break,
                Some(()) = reloads.recv() => {
                    daemon::tell_service_manager("RELOADING=1");
                    let read = settings::resolve(args, &environment, is_root);
                    reload(&running, &log, read);
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
fn run_as(name: &str, is_root: bool) -> Result<Option<RunAs>, CliError> {
    if !is_root || name.is_empty() {
        return Ok(None);
    }
    match RunAs::find(name).map_err(|error| daemon::failed(&error))? {
        Some(user) => Ok(Some(user)),
        None if name == config::USER => {
            tracing::warn!(
                "there is no user {name}: the server stays root (useradd --system {name} makes it)"
            );
            Ok(None)
        }
        None => Err(daemon::failed(&RunAsError::Unknown { name: name.to_owned() })),
    }
}
