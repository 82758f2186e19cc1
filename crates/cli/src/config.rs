//! Which server, which organization, which login. A flag wins over the environment, that over the current
//! context of the configuration file, that over the default (contract §3.1).
//!
//! The environment comes in as a function, so that a table can test all of it.

pub mod file;

use std::path::PathBuf;

use dispatch_api::client::Login;
use url::Url;

use crate::{config::file::ConfigFile, error::CliError, jwt, output::Format, usage::truth};
pub use file::Context;

/// What the flags of every command say; `None` where they were not given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global Flags")]
pub struct Flags {
    /// Configuration file (default $HOME/.dispatch/config.json; DISPATCH_CONFIG)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Dispatch host to connect to (default localhost; DISPATCH_HOST)
    #[arg(long, global = true)]
    pub host: Option<String>,
    /// Port which Dispatch is listening on (default 443; DISPATCH_PORT)
    #[arg(long, global = true)]
    pub port: Option<u16>,
    /// The protocol scheme to use, either http or https (default https; DISPATCH_SCHEME)
    #[arg(long, global = true)]
    pub scheme: Option<String>,
    /// Organization name (DISPATCH_ORGANIZATION)
    #[arg(long, global = true, value_name = "NAME")]
    pub organization: Option<String>,
    /// Accept any certificate of the server (DISPATCH_INSECURE)
    #[arg(long, global = true, value_name = "BOOL", value_parser = truth, num_args = 0..=1,
        require_equals = true, default_missing_value = "true")]
    pub insecure: Option<bool>,
    /// Output raw JSON (DISPATCH_JSON)
    #[arg(long, global = true, value_name = "BOOL", value_parser = truth, num_args = 0..=1,
        require_equals = true, default_missing_value = "true")]
    pub json: Option<bool>,
    /// Output format
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum, conflicts_with = "json")]
    pub output: Option<Format>,
    /// Bearer token (DISPATCH_TOKEN)
    #[arg(long, global = true)]
    pub token: Option<String>,
    /// Name of the service account; needs --jwt-private-key too (DISPATCH_SERVICE_ACCOUNT)
    #[arg(long, global = true, value_name = "NAME")]
    pub service_account: Option<String>,
    /// File with the service account's private key in PEM (DISPATCH_JWT_PRIVATE_KEY)
    #[arg(long, global = true, value_name = "FILE")]
    pub jwt_private_key: Option<PathBuf>,
}

/// Reads environment variables.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    pub base: Url,
    pub organization: String,
    pub insecure: bool,
    pub credentials: Credentials,
}

/// How to log in, before anything is read or signed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Token(String),
    ServiceAccount { name: String, key: PathBuf },
    Cookie(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token([redacted])",
            Self::ServiceAccount { .. } => "ServiceAccount",
            Self::Cookie(_) => "Cookie([redacted])",
        })
    }
}

impl Credentials {
    /// What is sent. A service account signs a token of its own for each command.
    pub fn login(&self, organization: &str) -> Result<Login, CliError> {
        Ok(match self {
            Self::Token(token) => Login::Bearer(token.clone()),
            Self::ServiceAccount { name, key } => Login::Bearer(jwt::for_service_account(
                organization,
                name,
                key,
                crate::clock::now(),
            )?),
            Self::Cookie(cookie) => Login::Cookie(cookie.clone()),
        })
    }
}

/// `--json`, `-o` or DISPATCH_JSON.
pub fn format(flags: &Flags, environment: Environment<'_>) -> Format {
    match flags.output {
        Some(format) => format,
        None if switch(flags.json, environment, "DISPATCH_JSON").unwrap_or_default() => {
            Format::Json
        }
        None => Format::Table,
    }
}

/// The file that is read and written, and whether it was named (then it has to exist).
pub fn path(flags: &Flags, environment: Environment<'_>) -> (PathBuf, bool) {
    let named =
        flags.config.clone().or_else(|| given(environment, "DISPATCH_CONFIG").map(Into::into));
    match named {
        Some(path) => (path, true),
        None => {
            let home = PathBuf::from(given(environment, "HOME").unwrap_or_default());
            (home.join(".dispatch").join("config.json"), false)
        }
    }
}

pub fn resolve(
    flags: &Flags,
    environment: Environment<'_>,
    file: &ConfigFile,
) -> Result<Settings, CliError> {
    let context = file.current()?.cloned().unwrap_or_default();
    let pick = |flag: &Option<String>, variable: &str, in_context: &str, default: &str| {
        let chosen = flag.clone().or_else(|| given(environment, variable));
        let chosen = chosen.or_else(|| (!in_context.is_empty()).then(|| in_context.to_owned()));
        chosen.unwrap_or_else(|| default.to_owned())
    };
    let scheme = pick(&flags.scheme, "DISPATCH_SCHEME", &context.scheme, "https");
    let host = pick(&flags.host, "DISPATCH_HOST", &context.host, "localhost");
    let port = port(flags.port, environment, context.port)?;
    Ok(Settings {
        base: base(&scheme, &host, port)?,
        organization: pick(&flags.organization, "DISPATCH_ORGANIZATION", &context.organization, ""),
        insecure: switch(flags.insecure, environment, "DISPATCH_INSECURE")
            .unwrap_or(context.insecure),
        credentials: credentials(flags, environment, &context),
    })
}

fn credentials(flags: &Flags, environment: Environment<'_>, context: &Context) -> Credentials {
    let token = flags.token.clone().or_else(|| given(environment, "DISPATCH_TOKEN"));
    if let Some(token) = token.or_else(|| context.token.clone()).filter(|token| !token.is_empty()) {
        return Credentials::Token(token);
    }
    let name = flags
        .service_account
        .clone()
        .or_else(|| given(environment, "DISPATCH_SERVICE_ACCOUNT"))
        .or_else(|| context.serviceaccount.clone())
        .filter(|name| !name.is_empty());
    let key = flags
        .jwt_private_key
        .clone()
        .or_else(|| given(environment, "DISPATCH_JWT_PRIVATE_KEY").map(Into::into))
        .or_else(|| context.jwtprivatekey.clone().map(Into::into))
        .filter(|key: &PathBuf| !key.as_os_str().is_empty());
    match (name, key) {
        (Some(name), Some(key)) => Credentials::ServiceAccount { name, key },
        _ if context.cookie.is_empty() => Credentials::Cookie("unset".to_owned()),
        _ => Credentials::Cookie(context.cookie.clone()),
    }
}

fn port(
    flag: Option<u16>,
    environment: Environment<'_>,
    context: Option<u16>,
) -> Result<u16, CliError> {
    if let Some(port) = flag {
        return Ok(port);
    }
    match given(environment, "DISPATCH_PORT") {
        Some(text) => text
            .parse()
            .map_err(|_| CliError::input(format!("DISPATCH_PORT is not a port: {text:?}"))),
        None => Ok(context.unwrap_or(443)),
    }
}

fn base(scheme: &str, host: &str, port: u16) -> Result<Url, CliError> {
    if !matches!(scheme, "http" | "https") {
        return Err(CliError::input(format!("scheme {scheme:?} is neither http nor https")));
    }
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    Url::parse(&format!("{scheme}://{host}:{port}/"))
        .ok()
        .filter(|url| url.username().is_empty() && url.path() == "/" && url.query().is_none())
        .ok_or_else(|| CliError::input(format!("host {host:?} is not a host name or address")))
}

/// An empty variable counts as unset.
fn given(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

/// A flag that may be `false`, or the environment. What is no truth value there counts as false, as it always did.
fn switch(flag: Option<bool>, environment: Environment<'_>, variable: &str) -> Option<bool> {
    flag.or_else(|| given(environment, variable).map(|value| truth(&value).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
