//! Which handler serves which operation: the server's half of the table of contents.

use dispatch_api::Operation;

use crate::{
    features::{
        api, base_image, function, image, orphan, run, secret, service_binding, service_broker,
        service_class, service_instance, version,
    },
    http::{Answer, ApiError, Call},
    platform::Platform,
};

/// Operations that need no login.
pub(super) fn public(platform: &Platform, operation: Operation) -> Result<Answer, ApiError> {
    match operation {
        Operation::GetHealth => version::health(platform),
        Operation::GetOpenApi => Ok(version::openapi()),
        _ => version::get(platform),
    }
}

pub(super) async fn handle(call: &Call) -> Result<Answer, ApiError> {
    match call.operation {
        Operation::GetHealth => version::health(&call.platform),
        Operation::GetHome => version::home(),
        Operation::GetOpenApi => Ok(version::openapi()),
        Operation::GetVersion => version::get(&call.platform),

        Operation::CreateSecret => secret::create(call).await,
        Operation::ListSecrets => secret::list(call).await,
        Operation::GetSecret => secret::get(call).await,
        Operation::UpdateSecret => secret::update(call).await,
        Operation::DeleteSecret => secret::delete(call).await,

        Operation::CreateServiceBroker => service_broker::create(call).await,
        Operation::ListServiceBrokers => service_broker::list(call).await,
        Operation::GetServiceBroker => service_broker::get(call).await,
        Operation::UpdateServiceBroker => service_broker::update(call).await,
        Operation::DeleteServiceBroker => service_broker::delete(call).await,
        Operation::RefreshServiceBroker => service_broker::refresh(call).await,

        Operation::CreateServiceClass => service_class::create(call).await,
        Operation::ListServiceClasses => service_class::list(call).await,
        Operation::GetServiceClass => service_class::get(call).await,
        Operation::UpdateServiceClass => service_class::update(call).await,
        Operation::DeleteServiceClass => service_class::delete(call).await,

        Operation::CreateServiceInstance => service_instance::create(call).await,
        Operation::ListServiceInstances => service_instance::list(call).await,
        Operation::GetServiceInstance => service_instance::get(call).await,
        Operation::DeleteServiceInstance => service_instance::delete(call).await,
        Operation::RetryServiceInstance => service_instance::retry(call).await,

        Operation::CreateServiceBinding => service_binding::create(call).await,
        Operation::ListServiceBindings => service_binding::list(call).await,
        Operation::GetServiceBinding => service_binding::get(call).await,
        Operation::DeleteServiceBinding => service_binding::delete(call).await,
        Operation::RotateServiceBinding => service_binding::rotate(call).await,

        Operation::ListOrphans => orphan::list(call).await,

        Operation::CreateFunction => function::create(call).await,
        Operation::ListFunctions => function::list(call).await,
        Operation::GetFunction => function::get(call).await,
        Operation::UpdateFunction => function::update(call).await,
        Operation::DeleteFunction => function::delete(call).await,

        Operation::CreateRun => run::create(call).await,
        Operation::ListRuns => run::list(call).await,
        Operation::GetRun => run::get(call).await,

        Operation::CreateBaseImage => base_image::create(call).await,
        Operation::ListBaseImages => base_image::list(call).await,
        Operation::GetBaseImage => base_image::get(call).await,
        Operation::UpdateBaseImage => base_image::update(call).await,
        Operation::DeleteBaseImage => base_image::delete(call).await,

        Operation::CreateImage => image::create(call).await,
        Operation::ListImages => image::list(call).await,
        Operation::GetImage => image::get(call).await,
        Operation::UpdateImage => image::update(call).await,
        Operation::DeleteImage => image::delete(call).await,

        Operation::CreateApi => api::create(call).await,
        Operation::ListApis => api::list(call).await,
        Operation::GetApi => api::get(call).await,
        Operation::UpdateApi => api::update(call).await,
        Operation::DeleteApi => api::delete(call).await,
    }
}
