//! What was decided about a class of a broker's catalogue. The class itself is the broker's and is not an object.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Id, Kind, Noun, object::NoStatus, service_broker::ServiceBroker};

#[derive(Debug)]
pub enum ServiceClass {}

/// A decision that goes beyond what the broker's registration selected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub broker: Id<ServiceBroker>,
    /// The class's id in the catalogue. Names change, ids do not (OSB-034).
    pub service: String,
    /// `None`: as the registration has it.
    pub enabled: Option<bool>,
    /// The id, in the catalogue, of the plan that is meant when none is named.
    pub default_plan: Option<String>,
}

impl Noun for ServiceClass {
    const KIND: Kind = Kind::ServiceClass;
    type Spec = Spec;
    type Status = NoStatus;
}

/// The id of a class in our API: made of the broker and the catalogue's id, so that two copies of one broker
/// do not get in each other's way (OSB-035).
pub fn class_id(broker: Id<ServiceBroker>, service: &str) -> Uuid {
    Uuid::new_v5(&broker.uuid(), service.as_bytes())
}

/// The id of a plan in our API.
pub fn plan_id(broker: Id<ServiceBroker>, service: &str, plan: &str) -> Uuid {
    Uuid::new_v5(&class_id(broker, service), plan.as_bytes())
}
