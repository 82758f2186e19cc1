//! A service instance: what was asked for, and what is known of it at the broker.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    CatalogName, Id, Kind, Name, Noun, Object, Phase,
    broker_operation::{Failure, InFlight, LastOperation, Presence, Resent, Retry, Verb},
    service_broker::ServiceBroker,
    status::{Condition, ConditionKind},
};

#[derive(Debug)]
pub enum ServiceInstance {}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub broker: Id<ServiceBroker>,
    /// The catalogue's ids are what counts (OSB-034); the names are for people, as they were when it was created.
    pub service: String,
    pub plan: String,
    pub class_name: CatalogName,
    pub plan_name: CatalogName,
    pub bindable: bool,
    /// A JSON object, after the broker's defaults were merged in; without the secrets' values.
    pub parameters: Option<Value>,
    pub secret_parameters: Vec<Name>,
    pub binding: BindingWish,
    /// Grows when somebody asks for another try.
    pub retry: u64,
}

/// What the automatic binding is asked for with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BindingWish {
    pub parameters: Option<Value>,
    pub secret_parameters: Vec<Name>,
}

/// What its controller has learnt, and what it is about to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The last generation whose operation ended.
    pub observed_generation: u64,
    pub presence: Presence,
    /// The id that the present attempt uses at the broker (decision 21).
    pub broker_instance_id: Option<Uuid>,
    /// Attempts that were begun under different ids. The first uses the instance's own.
    pub attempts: u32,
    /// When the first attempt of this wish began; creating is given up some time after.
    pub wished: Option<Timestamp>,
    pub in_flight: Option<InFlight>,
    #[serde(default)]
    pub resent: Vec<Resent>,
    pub retry: Retry,
    pub failure: Option<Failure>,
    pub dashboard_url: Option<String>,
    pub last_operation: Option<LastOperation>,
    pub conditions: Vec<Condition>,
}

impl Noun for ServiceInstance {
    const KIND: Kind = Kind::ServiceInstance;
    type Spec = Spec;
    type Status = Status;
}

/// The status that clients see, and the one reason: the table of decision 13, as its test has it. A reason that is
/// no failure says what is waited for.
pub fn phase(instance: &Object<ServiceInstance>) -> (Phase, Option<String>) {
    let status = &instance.status;
    let failed = status.failure.as_ref().filter(|f| f.generation == instance.meta.generation);
    if instance.meta.deleting.is_some() {
        return match failed {
            Some(failure) => (Phase::Error, Some(failure.message.clone())),
            None => (Phase::Deleting, status.retry.last_error.clone()),
        };
    }
    if let Some(failure) = failed {
        return (Phase::Error, Some(failure.message.clone()));
    }
    if status.presence == Presence::Present {
        return (Phase::Ready, None);
    }
    match &status.in_flight {
        None if status.retry.tries == 0 => (Phase::Initialized, None),
        _ => (Phase::Creating, status.retry.last_error.clone()),
    }
}

impl Status {
    /// Replaces the condition of this kind.
    pub fn set_condition(&mut self, kind: ConditionKind, message: String, since: Timestamp) {
        self.conditions.retain(|condition| condition.kind != kind);
        self.conditions.push(Condition { kind, message, since });
    }

    pub fn clear_condition(&mut self, kind: ConditionKind) {
        self.conditions.retain(|condition| condition.kind != kind);
    }

    /// The broker works on creating it, so that it cannot be removed yet.
    pub fn is_being_created(&self) -> bool {
        self.in_flight
            .as_ref()
            .is_some_and(|flight| flight.verb == Verb::Provision && flight.accepted.is_some())
    }
}
