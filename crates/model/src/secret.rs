//! A secret: a named map of text to text. The values are not here; they are sealed in the store.

use serde::{Deserialize, Serialize};

use crate::{
    Id, Kind, Noun, object::NoStatus, service_binding::ServiceBinding,
    service_broker::ServiceBroker,
};

#[derive(Debug)]
pub enum Secret {}

/// What may be known of a secret without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The keys, sorted.
    pub keys: Vec<String>,
    /// Which sealed version holds the values; grows with every write.
    pub version: u64,
    pub owner: Owner,
}

/// Who writes and deletes the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Owner {
    User,
    /// The credentials of a binding (decision 26).
    Binding(Id<ServiceBinding>),
    /// Login that was given when the broker was registered (decision 20a).
    Broker(Id<ServiceBroker>),
}

impl Noun for Secret {
    const KIND: Kind = Kind::Secret;
    type Spec = Spec;
    type Status = NoStatus;
}
