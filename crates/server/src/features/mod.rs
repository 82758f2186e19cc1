//! One folder per noun; in it one file per verb, and for nouns with an outside effect `plan`, `act` and `absorb`.

pub mod api;
pub mod base_image;
pub mod function;
pub mod image;
pub mod orphan;
pub mod run;
pub mod secret;
pub mod service_binding;
pub mod service_broker;
pub mod service_class;
pub mod service_instance;
pub mod version;

use dispatch_model::Kind;
use dispatch_store::OrgScope;

use crate::{
    http::{ApiError, Awaited, Settling},
    platform::Platform,
};

/// How far an object is that an answer waits for. Recorded kinds have settled in the write that made them.
pub async fn settling(
    platform: &Platform,
    scope: &OrgScope,
    awaited: Awaited,
) -> Result<Settling, ApiError> {
    match awaited.kind {
        Kind::ServiceBroker => service_broker::settling(platform, scope, awaited.id).await,
        Kind::ServiceInstance => service_instance::settling(platform, scope, awaited.id).await,
        Kind::ServiceBinding => service_binding::settling(platform, scope, awaited.id).await,
        Kind::BaseImage => base_image::settling(platform, scope, awaited.id).await,
        Kind::Image => image::settling(platform, scope, awaited.id).await,
        Kind::Function => function::settling(platform, scope, awaited.id).await,
        _ => Ok(Settling::Settled(None)),
    }
}
