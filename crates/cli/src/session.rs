//! One command's connection to a server: the typed client, and the answer kept as it came, because `--json` prints
//! what the server sent and not what this program understood of it.

use std::time::Duration;

use dispatch_api::{Client, Operation, client::Options, routes};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    config::Settings,
    error::{CliError, Kind},
    output::Console,
};

/// A body for operations that take none.
pub const NO_BODY: Option<&()> = None;

#[derive(Debug, Clone)]
pub struct Session {
    client: Client,
    pub console: Console,
}

/// A successful answer, understood and as it came.
#[derive(Debug)]
pub struct Received<T> {
    pub body: T,
    pub raw: Box<RawValue>,
    /// False when the server was asked to wait and the object had not settled in time.
    pub settled: bool,
    /// What to send as `seen` to be answered at the next change.
    pub seen: Option<String>,
    /// True when a list has an end that the server did not send.
    pub truncated: bool,
}

impl Session {
    pub fn new(settings: &Settings, console: Console) -> Result<Self, CliError> {
        let client = Client::new(Options {
            base: settings.base.clone(),
            organization: settings.organization.clone(),
            login: settings.credentials.login(&settings.organization)?,
            insecure: settings.insecure,
            connect_timeout: Duration::from_secs(10),
        })?;
        Ok(Self { client, console })
    }

    /// Calls an operation; `path` fills the `{…}` of its route, in order.
    pub async fn call<T: DeserializeOwned>(
        &self,
        operation: Operation,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Received<T>, CliError> {
        names(path)?;
        let answer = self.client.call::<Box<RawValue>>(operation, path, query, body).await?;
        let dispatch_api::client::Answer { body: raw, settled, seen, truncated, .. } = answer;
        let body = Received::understood(&raw)?;
        Ok(Received { body, raw, settled, seen, truncated })
    }

    /// Calls an operation whose answer does not matter beyond that it succeeded.
    pub async fn tell(
        &self,
        operation: Operation,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Box<RawValue>, CliError> {
        names(path)?;
        let answer = self.client.call::<Box<RawValue>>(operation, path, query, NO_BODY).await?;
        Ok(answer.body)
    }
}

impl<T: DeserializeOwned> Received<T> {
    /// What was sent, as what it is taken for.
    pub fn understood(raw: &RawValue) -> Result<T, CliError> {
        serde_json::from_str(raw.get()).map_err(|e| {
            let why = e.to_string();
            CliError::from(Kind::Client(dispatch_api::ClientError::Unreadable { why }))
        })
    }
}

/// What a path cannot hold, because it would mean another one.
fn names(path: &[&str]) -> Result<(), CliError> {
    match path.iter().find(|name| matches!(**name, "" | "." | "..")) {
        Some(name) => Err(CliError::input(format!("{name:?} is not a name"))),
        None => Ok(()),
    }
}

/// Whether the server reads this query parameter of the operation.
pub fn takes(operation: Operation, parameter: &str) -> bool {
    routes::of(operation).query.contains(&parameter)
}
