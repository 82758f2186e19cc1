//! The kinds that a document can have: how each is read, which operations it means, what is filled in from files.

use std::path::Path;

use dispatch_api::{
    Operation,
    secret::{Secret, SecretInput},
    service_binding::{ServiceBinding, ServiceBindingInput},
    service_broker::{ServiceBroker, ServiceBrokerInput},
    service_class::{ServiceClass, ServiceClassInput},
    service_instance::{ServiceInstance, ServiceInstanceInput},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::{
    commands::delete::{Removal, remove},
    error::CliError,
    nouns::Noun,
    session::Session,
    wait,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Secret,
    ServiceBroker,
    ServiceClass,
    ServiceInstance,
    ServiceBinding,
}

/// One row of the table of kinds.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// As in the document.
    pub kind: &'static str,
    /// Where `--json` puts the answers.
    pub group: &'static str,
    pub create: Operation,
    pub update: Option<Operation>,
    /// From YAML to the body of a request. The wire type decides what is text: `value: 2` becomes `"2"` in a secret.
    pub decode: fn(&str) -> Result<Value, String>,
}

impl Kind {
    pub const ALL: &[Self] = &[
        Self::Secret,
        Self::ServiceBroker,
        Self::ServiceClass,
        Self::ServiceInstance,
        Self::ServiceBinding,
    ];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.spec().kind == text)
    }

    pub const fn spec(self) -> Spec {
        use Operation as O;
        match self {
            Self::Secret => Spec {
                kind: "Secret",
                group: "secrets",
                create: O::CreateSecret,
                update: Some(O::UpdateSecret),
                decode: decode::<SecretInput>,
            },
            Self::ServiceBroker => Spec {
                kind: "ServiceBroker",
                group: "serviceBrokers",
                create: O::CreateServiceBroker,
                update: Some(O::UpdateServiceBroker),
                decode: decode::<ServiceBrokerInput>,
            },
            Self::ServiceClass => Spec {
                kind: "ServiceClass",
                group: "serviceClasses",
                create: O::CreateServiceClass,
                update: None,
                decode: decode::<ServiceClassInput>,
            },
            Self::ServiceInstance => Spec {
                kind: "ServiceInstance",
                group: "serviceInstances",
                create: O::CreateServiceInstance,
                update: None,
                decode: decode::<ServiceInstanceInput>,
            },
            Self::ServiceBinding => Spec {
                kind: "ServiceBinding",
                group: "serviceBindings",
                create: O::CreateServiceBinding,
                update: None,
                decode: decode::<ServiceBindingInput>,
            },
        }
    }

    /// Puts in what the document takes from files.
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "images and functions have files"
    )]
    pub fn fill(self, _body: &mut Value, _work_dir: &Path) -> Result<(), CliError> {
        Ok(())
    }

    /// Waits until it can be used; nothing for kinds that are ready at once.
    pub async fn wait(
        self,
        session: &Session,
        name: &str,
    ) -> Result<Option<Box<RawValue>>, CliError> {
        match self {
            Self::Secret | Self::ServiceClass => Ok(None),
            Self::ServiceBroker => ready::<ServiceBroker>(session, name).await,
            Self::ServiceInstance => ready::<ServiceInstance>(session, name).await,
            Self::ServiceBinding => ready::<ServiceBinding>(session, name).await,
        }
    }

    pub async fn remove(
        self,
        session: &Session,
        name: &str,
        how: &Removal,
        accepted: &dyn Fn() -> Result<(), CliError>,
    ) -> Result<Box<RawValue>, CliError> {
        match self {
            Self::Secret => remove::<Secret>(session, name, how, accepted).await,
            Self::ServiceBroker => remove::<ServiceBroker>(session, name, how, accepted).await,
            Self::ServiceClass => remove::<ServiceClass>(session, name, how, accepted).await,
            Self::ServiceInstance => remove::<ServiceInstance>(session, name, how, accepted).await,
            Self::ServiceBinding => remove::<ServiceBinding>(session, name, how, accepted).await,
        }
    }
}

async fn ready<N: Noun>(session: &Session, name: &str) -> Result<Option<Box<RawValue>>, CliError> {
    wait::until_ready::<N>(session, name).await.map(|received| Some(received.raw))
}

fn decode<T: DeserializeOwned + Serialize>(text: &str) -> Result<Value, String> {
    // No snippets in errors: the lines of a document may hold a password.
    let options = serde_saphyr::options! { with_snippet: false };
    let typed: T = serde_saphyr::from_str_with_options(text, options).map_err(|e| e.to_string())?;
    serde_json::to_value(typed).map_err(|e| e.to_string())
}
