//! The server that this command line knows, and its brokers, asked with the login that it has.

use std::time::Duration;

use dispatch_api::{Operation, service_broker::ServiceBroker, version::Version};

use super::check::Check;
use crate::{
    commands::App,
    error::CliError,
    nouns::reasons,
    session::{NO_BODY, Received, Session},
};

const NAME: &str = "server";
/// One that does not answer is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn checks(app: &App) -> Vec<Check> {
    let (config, is_named) = app.config_path();
    let is_named =
        is_named || app.flags.host.is_some() || std::env::var_os("DISPATCH_HOST").is_some();
    if !is_named && !config.exists() {
        let detail = format!("none is known: there is no {}", config.display());
        let remedy = "dispatch server starts one, and writes that file the first time";
        return vec![Check::off(NAME, detail, remedy)];
    }
    let (settings, session) = match app.settings().and_then(|settings| {
        let session = Session::new(&settings, app.console)?;
        Ok((settings, session))
    }) {
        Ok(both) => both,
        Err(error) => return vec![unreachable(&error)],
    };
    let place = settings.base.origin().ascii_serialization();
    let asked = async {
        let version: Received<Version> =
            session.call(Operation::GetVersion, &[], &[], NO_BODY).await?;
        let brokers: Received<Vec<ServiceBroker>> =
            session.call(Operation::ListServiceBrokers, &[], &[], NO_BODY).await?;
        Ok::<_, CliError>((version.body.version, brokers.body))
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok((version, brokers))) => {
            let mut checks = vec![Check::ok(NAME, format!("{version} at {place}"))];
            checks.extend(brokers.iter().map(broker));
            checks
        }
        Ok(Err(error)) => vec![unreachable(&error)],
        Err(_) => {
            let detail = format!("{place} does not answer within {} s", PATIENCE.as_secs());
            vec![Check::wrong(NAME, detail, "look at its log")]
        }
    }
}

/// What the other commands would say.
fn unreachable(error: &CliError) -> Check {
    let detail = error.text().lines().next().unwrap_or_default().to_owned();
    let remedy = error.hints.first().cloned();
    let remedy =
        remedy.unwrap_or_else(|| "which server is meant: dispatch manage context".to_owned());
    if detail.contains("connection refused") {
        return Check::off(NAME, detail, remedy);
    }
    Check::wrong(NAME, detail, remedy)
}

fn broker(broker: &ServiceBroker) -> Check {
    let name = format!("broker.{}", broker.name);
    let reason = reasons(broker.reason.as_ref(), &broker.conditions);
    if broker.status == "READY" && reason.is_empty() {
        return Check::ok(&name, "READY");
    }
    let detail = format!("{}: {reason}", broker.status);
    Check::wrong(
        &name,
        detail,
        format!("try again: dispatch refresh servicebroker {}", broker.name),
    )
}
