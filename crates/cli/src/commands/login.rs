//! `dispatch login`: tries a token or a service account's key at the server and keeps what worked.

use dispatch_api::{
    Operation,
    client::{Client, Login, Options},
};
use serde_json::value::RawValue;

use crate::{
    commands::App,
    config::{self, Context, Credentials, Settings, file::ConfigFile},
    error::CliError,
    session::NO_BODY,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Extra debug output
    #[arg(long)]
    debug: bool,
}

pub fn run(app: &App, args: &Args) -> Result<(), CliError> {
    let settings = app.settings()?;
    let failed = |error: CliError| CliError {
        kind: crate::error::Kind::Input(format!(
            "error logging in: {}",
            error.text().lines().next().unwrap_or_default()
        )),
        hints: Vec::new(),
    };
    if matches!(settings.credentials, Credentials::Cookie(_)) {
        return Err(CliError::input("error logging in: nothing to log in with")
            .hint("give --token TOKEN, or --service-account NAME and --jwt-private-key FILE"));
    }
    let login = settings.credentials.login(&settings.organization).map_err(failed)?;
    if args.debug {
        app.console.note(&format!("asking {}home", settings.base));
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(ask(&settings, login))
        .map_err(failed)?;
    keep(app, &settings)?;
    app.console.line("You have successfully logged in")
}

async fn ask(settings: &Settings, login: Login) -> Result<(), CliError> {
    let client = Client::new(Options {
        base: settings.base.clone(),
        organization: settings.organization.clone(),
        login,
        insecure: settings.insecure,
        connect_timeout: std::time::Duration::from_secs(10),
    })?;
    client.call::<Box<RawValue>>(Operation::GetHome, &[], &[], NO_BODY).await?;
    Ok(())
}

/// Writes the login into the current context, or into a new one that is named after the host.
fn keep(app: &App, settings: &Settings) -> Result<(), CliError> {
    let (path, _) = app.config_path();
    let mut file = ConfigFile::read(&path, false)?;
    if file.current.is_empty() {
        file.current = config::file::name_for(settings.base.host_str().unwrap_or("localhost"));
    }
    let context = file.contexts.entry(file.current.clone()).or_default();
    fill(context, settings);
    file.write(&path)
}

fn fill(context: &mut Context, settings: &Settings) {
    context.host = settings.base.host_str().unwrap_or_default().to_owned();
    context.port = settings.base.port_or_known_default();
    context.scheme = settings.base.scheme().to_owned();
    context.organization.clone_from(&settings.organization);
    context.insecure = settings.insecure;
    context.clear_login();
    match &settings.credentials {
        // Our own keys are good as a cookie too, which every older client sends.
        Credentials::Token(token) if token.starts_with("dk_") => context.cookie.clone_from(token),
        Credentials::Token(token) => context.token = Some(token.clone()),
        Credentials::ServiceAccount { name, key } => {
            context.serviceaccount = Some(name.clone());
            context.jwtprivatekey = Some(key.display().to_string());
        }
        Credentials::Cookie(cookie) => context.cookie.clone_from(cookie),
    }
}
