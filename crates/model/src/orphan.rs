//! An orphan: an attempt that was given up and may have left something at the broker (decision 21, OSB table A0).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Id, Kind, Noun,
    broker_operation::{InFlight, Retry},
    service_broker::ServiceBroker,
};

#[derive(Debug)]
pub enum Orphan {}

/// Ids as they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub broker: Id<ServiceBroker>,
    pub service: String,
    pub plan: String,
    pub instance: Uuid,
    /// Set for a binding: then only that is removed.
    pub binding: Option<Uuid>,
    pub cause: String,
    /// No answer came: the broker may still be at work on it, and make it after it was asked to remove it.
    #[serde(default)]
    pub unanswered: bool,
    /// It was asked for twice, and is removed or about to be: it is removed once more, and not before this.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Objects that may be waiting for this to end.
    pub waiting: Vec<Uuid>,
}

/// What its controller has learnt, and what it is about to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub in_flight: Option<InFlight>,
    pub retry: Retry,
    pub last_try: Option<Timestamp>,
}

impl Noun for Orphan {
    const KIND: Kind = Kind::Orphan;
    type Spec = Spec;
    type Status = Status;
}
