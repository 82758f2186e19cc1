//! The nouns of the API as they travel: catalogue, instance, binding, operation, error.
//!
//! Unknown fields are ignored everywhere (OSB-003) and `null` for an optional field equals its
//! absence (OSB-019). These types do not judge: what a catalogue must look like is
//! [`catalog`](crate::catalog), what an answer means is [`client`](crate::client).

mod binding;
mod catalog;
mod error;
mod identity;
mod instance;
mod lenient;
mod operation;
mod redacted;
mod version;

pub use binding::{
    BindAnswer, BindBody, BindResource, BindingDocument, BindingMetadata, Device, Endpoint,
    VolumeMount,
};
pub use catalog::{
    Catalog, DashboardClient, MaintenanceInfo, OperationSchema, Plan, Schemas, Service,
    ServiceBindingSchemas, ServiceInstanceSchemas,
};
pub use error::{ErrorBody, ErrorCode};
pub use identity::OriginatingIdentity;
pub use instance::{
    InstanceDocument, InstanceMetadata, MaintenanceVersion, PreviousValues, ProvisionAnswer,
    ProvisionBody, UpdateAnswer, UpdateBody,
};
pub use operation::{LastOperation, OperationState, RemoveAnswer};
pub use version::{ApiVersion, UnreadableVersion};

/// A JSON object, in the order in which it was written.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;

#[cfg(test)]
mod tests;
