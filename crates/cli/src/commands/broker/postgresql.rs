//! `dispatch broker postgresql`: arguments and environment to the settings of `dispatch_broker`, until a signal.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use dispatch_broker::postgresql::{
    ADMIN_URL_VARIABLE, AdminUrlSource, AuthenticationSource, DedicatedOptions, Options, PortRange,
    serve,
};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::{commands::daemon, error::CliError};

/// Of plan `dedicated`, where nothing else was said.
pub(super) const DEDICATED_PORTS: &str = "41900-41999";

/// Another name of the variable with the administrator's URL.
const SHORT_VARIABLE: &str = "DISPATCH_BROKER_ADMIN_URL";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// File with the administrator's URL of PostgreSQL (else DISPATCH_BROKER_ADMIN_URL)
    #[arg(long, value_name = "FILE")]
    admin_url_file: Option<PathBuf>,
    /// Where the broker keeps its books and its key
    #[arg(long, value_name = "DIR", required = true)]
    data: PathBuf,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Listen without TLS where others can listen in
    #[arg(long)]
    insecure_listen: bool,
    /// File with the token that callers must show
    #[arg(long, value_name = "FILE", conflicts_with = "username")]
    token_file: Option<PathBuf>,
    /// User name that callers must show
    #[arg(long, requires = "password_file")]
    username: Option<String>,
    /// File with the password that callers must show
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// Where functions reach PostgreSQL, if not where the administrator does
    #[arg(long, value_name = "HOST[:PORT]")]
    advertise: Option<String>,
    /// Certificate of the authority that signed PostgreSQL's; functions get it too
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Ports of dedicated servers, or none for no such plan [default: 41900-41999, where PostgreSQL is installed]
    #[arg(long, value_name = "FIRST-LAST")]
    dedicated_ports: Option<String>,
    /// Address on which dedicated servers listen and functions reach them
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    dedicated_address: IpAddr,
    /// As the server starts it: told everything else on stdin
    #[arg(long, hide = true, conflicts_with_all = ["admin_url_file", "token_file", "username", "tls_ca"])]
    included: bool,
}

pub fn run(args: Args) -> Result<(), CliError> {
    if args.included {
        return super::included::run(args.data);
    }
    if !args.listen.ip().is_loopback() && !args.insecure_listen {
        return Err(CliError::input(format!(
            "the broker speaks plain HTTP, and {} is not this machine alone",
            args.listen.ip()
        ))
        .hint("put it behind something that speaks TLS, or add --insecure-listen"));
    }
    let options = options(&args)?;
    let log = std::env::var("DISPATCH_LOG").unwrap_or_else(|_| "info".to_owned());
    daemon::log_to_stderr(&log)?;
    daemon::run(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .map_err(|e| CliError::input(format!("cannot listen on {}: {e}", args.listen)))?;
        let address = listener.local_addr()?;
        let asked_to_stop = daemon::asked_to_stop();
        daemon::say(&format!("broker postgresql listens on http://{address}"));
        serve(options, listener, asked_to_stop).await.map_err(|error| daemon::failed(&error))
    })
}

fn options(args: &Args) -> Result<Options, CliError> {
    let mut options = Options::new(&args.data, admin_url(args)?);
    options.ca_file.clone_from(&args.tls_ca);
    options.authentication = match (&args.token_file, &args.username, &args.password_file) {
        (Some(file), _, _) => AuthenticationSource::BearerFile(file.clone()),
        (_, Some(username), Some(password_file)) => AuthenticationSource::Basic {
            username: username.clone(),
            password_file: password_file.clone(),
        },
        _ => AuthenticationSource::None,
    };
    options.dedicated = dedicated(args)?;
    if let Some(place) = &args.advertise {
        let (host, port) = host_and_port(place)?;
        options.host = Some(host);
        options.port = port;
    }
    Ok(options)
}

/// Who names ports means it: then the broker does not start where it can have no such servers.
fn dedicated(args: &Args) -> Result<Option<DedicatedOptions>, CliError> {
    let ports = match args.dedicated_ports.as_deref() {
        Some("none") => return Ok(None),
        Some(ports) => ports,
        None => DEDICATED_PORTS,
    };
    let mut dedicated = DedicatedOptions::new(range(ports)?);
    dedicated.address = args.dedicated_address;
    dedicated.required = args.dedicated_ports.is_some();
    Ok(Some(dedicated))
}

pub(super) fn range(ports: &str) -> Result<PortRange, CliError> {
    ports
        .parse()
        .map_err(|error| CliError::input(format!("--dedicated-ports {ports:?} is {error}")))
}

/// From the file, else from the environment: never from an argument, which everybody can read.
fn admin_url(args: &Args) -> Result<AdminUrlSource, CliError> {
    if let Some(file) = &args.admin_url_file {
        return Ok(AdminUrlSource::File(file.clone()));
    }
    let names = [SHORT_VARIABLE, ADMIN_URL_VARIABLE];
    let value = names.into_iter().find_map(|name| std::env::var(name).ok());
    match value.filter(|value| !value.is_empty()) {
        Some(value) => Ok(AdminUrlSource::Value(Zeroizing::new(value))),
        None => Err(CliError::input("the administrator's URL of PostgreSQL is missing")
            .hint(format!("give --admin-url-file FILE, or set {SHORT_VARIABLE}"))),
    }
}

/// `db`, `db:6432`, `[::1]:6432`.
fn host_and_port(place: &str) -> Result<(String, Option<u16>), CliError> {
    let wrong = || CliError::input(format!("--advertise {place:?} is not HOST or HOST:PORT"));
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, Some(port.parse().map_err(|_| wrong())?))
        }
        _ => (place, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_with_or_without_a_port() {
        let check = |place: &str, expect: Option<(&str, Option<u16>)>| {
            let got = host_and_port(place).ok();
            assert_eq!(got, expect.map(|(host, port)| (host.to_owned(), port)), "{place}");
        };
        check("db", Some(("db", None)));
        check("db:6432", Some(("db", Some(6432))));
        check("[::1]:6432", Some(("::1", Some(6432))));
        check("::1", Some(("::1", None)));
        check("db:x", None);
        check(":1", None);
        check("db:65536", None);
    }
}
