//! What a call is about, and on whose behalf it is made.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::OriginatingIdentity;

/// What accompanies one request.
#[derive(Debug, Clone, PartialEq)]
pub struct CallContext {
    /// Sent as `X-Broker-API-Request-Identity`; a new one for every request (OSB-010).
    pub request_identity: Uuid,
    /// The user who caused it; `None` for what the platform does by itself (OSB-008).
    pub originating_identity: Option<OriginatingIdentity>,
}

impl CallContext {
    /// A request that the platform makes by itself.
    pub fn of_platform(request_identity: Uuid) -> Self {
        Self { request_identity, originating_identity: None }
    }
}

/// An instance at the broker, with the plan that it has there (OSB-138).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceTarget {
    pub instance_id: String,
    pub service_id: String,
    pub plan_id: String,
}

/// A binding at the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingTarget {
    pub instance_id: String,
    pub binding_id: String,
    pub service_id: String,
    pub plan_id: String,
}
