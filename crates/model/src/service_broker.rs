//! A service broker: where it is, how to log in, and which catalogue it has.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    CatalogName, Kind, Name, Noun, Object, Phase,
    broker_operation::Retry,
    status::{Condition, ConditionKind},
};

#[derive(Debug)]
pub enum ServiceBroker {}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Empty for a broker of the server's own.
    pub url: String,
    /// The server runs the broker itself; absent in what was stored before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<Builtin>,
    /// Default parameters of all instances, a JSON object; of a broker of the server's own, its arguments.
    pub parameters: Option<Value>,
    pub authentication: Authentication,
    pub tls: Tls,
    pub profile: Profile,
    pub classes: Selection,
    /// Grows when somebody asks for the catalogue to be read again.
    pub refresh: u64,
    /// Its instances are to go with it, or to be forgotten (set together with the deletion mark).
    pub cascade: bool,
}

/// The brokers that come with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Builtin {
    Postgresql,
}

impl Builtin {
    pub const ALL: [Self; 1] = [Self::Postgresql];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.as_str() == text)
    }
}

impl Spec {
    /// What instances get where they say nothing else. The parameters of a broker of the server's own are for itself.
    pub const fn default_parameters(&self) -> Option<&Value> {
        match self.builtin {
            None => self.parameters.as_ref(),
            Some(_) => None,
        }
    }
}

/// The values are keys of a secret and are read at each use (OSB-004, OSB-005).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Authentication {
    None,
    /// Keys `username` and `password`.
    Basic {
        secret: Name,
    },
    /// Key `token`.
    Bearer {
        secret: Name,
    },
}

impl Authentication {
    pub const fn secret(&self) -> Option<&Name> {
        match self {
            Self::None => None,
            Self::Basic { secret } | Self::Bearer { secret } => Some(secret),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// PEM.
    pub ca_cert: Option<String>,
    pub skip_verify: bool,
}

/// Whose shape of context and identity the broker is sent (decision 22).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    #[default]
    Dispatch,
    CloudFoundry,
    Kubernetes,
}

impl Profile {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::CloudFoundry => "cloudfoundry",
            Self::Kubernetes => "kubernetes",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Dispatch, Self::CloudFoundry, Self::Kubernetes]
            .into_iter()
            .find(|profile| profile.as_str() == text)
    }
}

/// Which classes of the catalogue the organization has (decision 20).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// All, also those that the broker adds later.
    All,
    /// By name; `None` for all plans of the class.
    Only(BTreeMap<CatalogName, Option<Vec<CatalogName>>>),
}

impl Selection {
    pub fn has_class(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(classes) => classes.keys().any(|class| class.as_str() == name),
        }
    }

    pub fn has_plan(&self, class: &str, plan: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(classes) => {
                classes.iter().find(|(name, _)| name.as_str() == class).is_none_or(|(_, plans)| {
                    plans.as_ref().is_none_or(|plans| plans.iter().any(|p| p.as_str() == plan))
                })
            }
        }
    }
}

/// What its controller has learnt, and what it is about to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The last generation whose catalogue was read, or refused.
    pub observed_generation: u64,
    pub catalog: Option<CatalogRef>,
    /// Why there is no usable catalogue for the observed generation.
    pub failure: Option<String>,
    pub retry: Retry,
    pub conditions: Vec<Condition>,
}

/// The catalogue is a blob; this says which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogRef {
    /// SHA-256, hexadecimal.
    pub digest: String,
    pub fetched: Timestamp,
    pub refresh_at: Timestamp,
    pub api_version: String,
    pub warnings: Vec<String>,
}

impl Noun for ServiceBroker {
    const KIND: Kind = Kind::ServiceBroker;
    type Spec = Spec;
    type Status = Status;
}

/// The status that clients see, and the one reason: the table of decision 13, as its test has it. A reason that is
/// no failure says what is waited for.
pub fn phase(broker: &Object<ServiceBroker>) -> (Phase, Option<String>) {
    let status = &broker.status;
    if broker.meta.deleting.is_some() {
        return (Phase::Deleting, status.retry.last_error.clone());
    }
    if let Some(failure) = &status.failure {
        return (Phase::Error, Some(failure.clone()));
    }
    match (&status.catalog, status.observed_generation == broker.meta.generation) {
        (Some(_), true) => (Phase::Ready, None),
        (Some(_), false) => (Phase::Updating, status.retry.last_error.clone()),
        (None, _) if status.retry.tries > 0 => (Phase::Creating, status.retry.last_error.clone()),
        (None, _) => (Phase::Initialized, None),
    }
}

impl Status {
    pub fn has_condition(&self, kind: ConditionKind) -> bool {
        self.conditions.iter().any(|condition| condition.kind == kind)
    }
}
