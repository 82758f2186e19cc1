//! `dispatch server`: from flags, environment and `server.toml` to a running control plane, until a signal.
//!
//! A flag wins over DISPATCH_SERVER_*, that over the file, that over the default (decision 16).

mod machine;
mod settings;

use std::{path::PathBuf, sync::Arc};

use dispatch_engine::{SystemClock, SystemEntropy};
use dispatch_server::server::Parts;

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
    let mut settings = settings::resolve(args, &environment, rustix::process::geteuid().is_root())?;
    let prepared = machine::prepare(&mut settings)?;
    daemon::run(async {
        let client_config = settings.client_config.clone();
        let parts = Parts {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            machine: prepared.machine()?,
        };
        let running = dispatch_server::start(settings, parts).await;
        let running = running.map_err(|error| daemon::failed(&error))?;
        let addresses = running.addresses;
        daemon::say(&format!("dispatch server listens on http://{}", addresses.control_plane));
        if running.is_first {
            daemon::say(&format!("login for the command line: {}", client_config.display()));
        }
        daemon::tell_service_manager("READY=1");
        daemon::asked_to_stop().await;
        daemon::tell_service_manager("STOPPING=1");
        running.stop().await;
        Ok(())
    })
}
