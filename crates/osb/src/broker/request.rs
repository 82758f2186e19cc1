//! The requests that a broker gets, with ids decoded and bodies read.

use crate::types::{ApiVersion, BindBody, OriginatingIdentity, ProvisionBody, UpdateBody};

/// What every request carries besides its subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The version that the platform speaks; its major number is 2.
    pub api_version: ApiVersion,
    /// Who caused the request, if the platform says so (OSB-008).
    pub originating_identity: Option<OriginatingIdentity>,
    /// The platform's name for this one request (OSB-010); it is echoed by the toolkit.
    pub request_identity: Option<String>,
}

/// `PUT /v2/service_instances/:instance_id`
#[derive(Debug, Clone, PartialEq)]
pub struct Provision {
    pub instance_id: String,
    /// Without it only a synchronous answer is allowed, else [`Failure::async_required`](super::Failure::async_required).
    pub accepts_incomplete: bool,
    pub body: ProvisionBody,
}

/// `PATCH /v2/service_instances/:instance_id`
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub instance_id: String,
    pub accepts_incomplete: bool,
    pub body: UpdateBody,
}

/// `DELETE /v2/service_instances/:instance_id`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprovision {
    pub instance_id: String,
    pub accepts_incomplete: bool,
    pub service_id: String,
    pub plan_id: String,
}

/// `GET /v2/service_instances/:instance_id/last_operation`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollInstance {
    pub instance_id: String,
    pub service_id: Option<String>,
    pub plan_id: Option<String>,
    /// What the broker gave with its 202.
    pub operation: Option<String>,
}

/// `GET /v2/service_instances/:instance_id`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetInstance {
    pub instance_id: String,
    pub service_id: Option<String>,
    pub plan_id: Option<String>,
}

/// `PUT /v2/service_instances/:instance_id/service_bindings/:binding_id`
#[derive(Debug, Clone, PartialEq)]
pub struct Bind {
    pub instance_id: String,
    pub binding_id: String,
    pub accepts_incomplete: bool,
    pub body: BindBody,
}

/// `DELETE /v2/service_instances/:instance_id/service_bindings/:binding_id`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbind {
    pub instance_id: String,
    pub binding_id: String,
    pub accepts_incomplete: bool,
    pub service_id: String,
    pub plan_id: String,
}

/// `GET /v2/service_instances/:instance_id/service_bindings/:binding_id/last_operation`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollBinding {
    pub instance_id: String,
    pub binding_id: String,
    pub service_id: Option<String>,
    pub plan_id: Option<String>,
    pub operation: Option<String>,
}

/// `GET /v2/service_instances/:instance_id/service_bindings/:binding_id`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetBinding {
    pub instance_id: String,
    pub binding_id: String,
    pub service_id: Option<String>,
    pub plan_id: Option<String>,
}
