//! `dispatch server`: its settings are `server.toml`'s (decision 16); a flag wins over it.

use std::path::PathBuf;

use crate::error::CliError;

#[derive(Debug, clap::Args)]
#[command(override_usage = "dispatch server [flags]")]
pub struct Args {
    /// Settings (default server.toml in the configuration directory; DISPATCH_SERVER_CONFIG)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where everything is kept (DISPATCH_SERVER_DATA)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of the control plane (default 127.0.0.1; DISPATCH_SERVER_HOST)
    #[arg(long, visible_alias = "listen", value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Port of the control plane (default 8080; DISPATCH_SERVER_PORT)
    #[arg(long)]
    pub port: Option<u16>,
    /// Port of the gateway for HTTP (default 8081; DISPATCH_SERVER_GATEWAY_PORT)
    #[arg(long, value_name = "PORT")]
    pub gateway_port: Option<u16>,
    /// Port of the gateway for HTTPS (default 8444; DISPATCH_SERVER_GATEWAY_TLS_PORT)
    #[arg(long, value_name = "PORT")]
    pub gateway_tls_port: Option<u16>,
    /// Let everybody in, from this machine only
    #[arg(long)]
    pub skip_auth: bool,
    /// Listen without TLS where others can listen in
    #[arg(long)]
    pub insecure_listen: bool,
}

pub fn run(_args: &Args) -> Result<(), CliError> {
    Err(CliError::input("the server is not part of this build"))
}
