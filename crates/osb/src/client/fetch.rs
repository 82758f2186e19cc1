//! The calls that only look: catalogue, polls, instances and bindings.

use http::Method;
use uuid::Uuid;

use super::classify::{self, Reading};
use super::context::{BindingTarget, CallContext, InstanceTarget};
use super::exchange::Call;
use super::outcome::{CatalogFetched, Fetched, Polled};
use super::prepare::{binding_path, instance_path};
use super::{Client, address};
use crate::types::{ApiVersion, BindingDocument, InstanceDocument};

/// How many requests one fetch of the catalogue makes at most: one for each version.
pub const MAX_CATALOG_TRIES: u16 = ApiVersion::LATEST.minor - ApiVersion::OLDEST.minor + 1;

impl Client {
    /// `GET /v2/catalog`, beginning with version 2.17 and stepping down as long as the broker
    /// answers 412 (OSB-007). The version that it accepts is spoken from then on.
    ///
    /// With `etag` the broker may answer that nothing has changed (OSB-050). Further tries have
    /// request identities of their own, made from the given one.
    pub async fn catalog(&self, context: &CallContext, etag: Option<&str>) -> CatalogFetched {
        let mut version = ApiVersion::LATEST;
        loop {
            let tries = u128::from(ApiVersion::LATEST.minor - version.minor);
            let identity = Uuid::from_u128(context.request_identity.as_u128() ^ tries);
            let context = CallContext { request_identity: identity, ..context.clone() };
            let call = Call {
                version,
                answer_bytes: self.limits.catalog_bytes,
                if_none_match: etag,
                ..self.call(Method::GET, "/v2/catalog", "")
            };
            let reading = Reading { version, ..self.reading() };
            match classify::catalog(self.exchange(call, &context).await, reading) {
                Err(_) if version > ApiVersion::OLDEST => {
                    version = ApiVersion::v2(version.minor - 1);
                }
                Err(refusal) => return CatalogFetched::NoCommonVersion(refusal),
                Ok(fetched) => {
                    let understood = matches!(
                        fetched,
                        CatalogFetched::Fetched { .. } | CatalogFetched::Unchanged { .. }
                    );
                    if understood {
                        self.set_api_version(version);
                    }
                    return fetched;
                }
            }
        }
    }

    /// `GET /v2/service_instances/:id/last_operation`, with the `operation` of the 202 that began
    /// it, unchanged (OSB-101). During a plan change `target` has the old plan (OSB-102).
    pub async fn poll_instance(
        &self,
        target: &InstanceTarget,
        operation: Option<&str>,
        context: &CallContext,
    ) -> Polled {
        let path = format!("{}/last_operation", instance_path(&target.instance_id));
        let query = poll_query(&target.service_id, &target.plan_id, operation);
        let call = self.call(Method::GET, &path, &query);
        classify::polled(self.exchange(call, context).await, self.reading())
    }

    /// `GET …/service_bindings/:id/last_operation`, likewise.
    pub async fn poll_binding(
        &self,
        target: &BindingTarget,
        operation: Option<&str>,
        context: &CallContext,
    ) -> Polled {
        let binding = binding_path(&target.instance_id, &target.binding_id);
        let path = format!("{binding}/last_operation");
        let query = poll_query(&target.service_id, &target.plan_id, operation);
        let call = self.call(Method::GET, &path, &query);
        classify::polled(self.exchange(call, context).await, self.reading())
    }

    /// `GET /v2/service_instances/:id`; only for services that are `instances_retrievable`
    /// (OSB-120).
    pub async fn get_instance(
        &self,
        target: &InstanceTarget,
        context: &CallContext,
    ) -> Fetched<InstanceDocument> {
        let path = instance_path(&target.instance_id);
        let query = self.hints(&target.service_id, &target.plan_id);
        let call = self.call(Method::GET, &path, &query);
        classify::instance(self.exchange(call, context).await, self.reading())
    }

    /// `GET …/service_bindings/:id`; only for services that are `bindings_retrievable`, whose
    /// `requires` the document is checked against (OSB-123, OSB-153). A broker may give the
    /// credentials only once: store them at once.
    pub async fn get_binding(
        &self,
        target: &BindingTarget,
        requires: &[String],
        context: &CallContext,
    ) -> Fetched<BindingDocument> {
        let path = binding_path(&target.instance_id, &target.binding_id);
        let query = self.hints(&target.service_id, &target.plan_id);
        let call = self.call(Method::GET, &path, &query);
        classify::binding(self.exchange(call, context).await, self.reading(), requires)
    }

    /// The ids are hints for GET since 2.16.
    fn hints(&self, service_id: &str, plan_id: &str) -> String {
        match self.api_version() >= ApiVersion::v2(16) {
            true => poll_query(service_id, plan_id, None),
            false => String::new(),
        }
    }
}

fn poll_query(service_id: &str, plan_id: &str, operation: Option<&str>) -> String {
    let (service, plan) = (address::encode(service_id), address::encode(plan_id));
    let mut query = format!("service_id={service}&plan_id={plan}");
    if let Some(operation) = operation {
        query.push_str("&operation=");
        query.push_str(&address::encode(operation));
    }
    query
}
