//! A service binding: credentials for an instance, and what is known of them at the broker.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Id, Kind, Name, Noun, Object, Phase,
    broker_operation::{Failure, InFlight, LastOperation, Resent, Retry},
    secret::Secret,
    service_instance::ServiceInstance,
    status::Condition,
};

#[derive(Debug)]
pub enum ServiceBinding {}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub instance: Id<ServiceInstance>,
    pub instance_name: Name,
    /// Made by the instance's controller; goes with the instance.
    pub automatic: bool,
    pub parameters: Option<Value>,
    pub secret_parameters: Vec<Name>,
    /// Grows when somebody asks for new credentials.
    pub rotation: u64,
    /// Grows when somebody asks for another try.
    pub retry: u64,
}

/// What its controller has learnt, and what it is about to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The `rotation` that the credentials in use belong to.
    pub rotated: u64,
    /// The `rotation` that the present attempt is for.
    pub rotating: u64,
    /// The id of the present attempt at the broker: something may exist under it.
    pub attempt: Option<Uuid>,
    /// Attempts that were begun. The first uses the binding's own id.
    pub attempts: u32,
    pub wished: Option<Timestamp>,
    pub in_flight: Option<InFlight>,
    #[serde(default)]
    pub resent: Vec<Resent>,
    pub retry: Retry,
    pub failure: Option<Failure>,
    /// The credentials in use.
    pub credentials: Option<Credentials>,
    /// The binding that the credentials in use replaced. It is unbound when no process has them any more.
    pub predecessor: Option<Predecessor>,
    pub last_operation: Option<LastOperation>,
    pub conditions: Vec<Condition>,
}

/// Where the credentials are, never what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub secret: Id<Secret>,
    pub secret_name: Name,
    pub keys: Vec<String>,
    /// The sealed version; grows with every rotation.
    pub version: u64,
    /// The id at the broker that they belong to.
    pub broker_binding_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub expires: Option<Timestamp>,
}

/// Where the service listens: what a function that has the binding may reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// Old credentials on their way out (decision 25).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    pub broker_binding_id: Uuid,
    pub version: u64,
}

impl Noun for ServiceBinding {
    const KIND: Kind = Kind::ServiceBinding;
    type Spec = Spec;
    type Status = Status;
}

/// The status that clients see, and the one reason: the table of decision 13, as its test has it. A reason that is
/// no failure says what is waited for.
pub fn phase(binding: &Object<ServiceBinding>) -> (Phase, Option<String>) {
    let status = &binding.status;
    let failed = status.failure.as_ref().filter(|f| f.generation == binding.meta.generation);
    if binding.meta.deleting.is_some() {
        return match failed {
            Some(failure) => (Phase::Error, Some(failure.message.clone())),
            None => (Phase::Deleting, status.retry.last_error.clone()),
        };
    }
    let rotating = status.rotated != binding.spec.rotation || status.predecessor.is_some();
    match (&status.credentials, failed) {
        (Some(_), None) if rotating => (Phase::Updating, status.retry.last_error.clone()),
        // A failed rotation leaves the old credentials in use, and says why it failed.
        (Some(_), failed) => (Phase::Ready, failed.map(|failure| failure.message.clone())),
        (None, Some(failure)) => (Phase::Error, Some(failure.message.clone())),
        (None, None) if status.in_flight.is_none() && status.retry.tries == 0 => {
            (Phase::Initialized, None)
        }
        (None, None) => (Phase::Creating, status.retry.last_error.clone()),
    }
}

impl Status {
    /// An id at the broker that is still to be unbound before nothing is left: the oldest first.
    pub fn remaining(&self) -> Option<Uuid> {
        let predecessor = self.predecessor.as_ref().map(|old| old.broker_binding_id);
        let current = self.credentials.as_ref().map(|credentials| credentials.broker_binding_id);
        predecessor.or(current).or(self.attempt)
    }

    /// Forgets an id that does not exist at the broker any more.
    pub fn forget(&mut self, id: Uuid) {
        self.predecessor.take_if(|old| old.broker_binding_id == id);
        self.credentials.take_if(|credentials| credentials.broker_binding_id == id);
        self.attempt.take_if(|attempt| *attempt == id);
    }
}
