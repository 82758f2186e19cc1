//! The calls that change something at the broker.

use http::Method;

use super::classify::{self, Exchange, Reading};
use super::context::{BindingTarget, CallContext, InstanceTarget};
use super::exchange::Call;
use super::outcome::Outcome;
use super::prepare::{ACCEPTS_INCOMPLETE, Prepared, PreparedKind, binding_path, instance_path};
use super::{Client, address};
use crate::types::{BindingDocument, ProvisionAnswer, UpdateAnswer};

impl Client {
    /// `PUT /v2/service_instances/:id`
    pub async fn send_provision(
        &self,
        prepared: &Prepared,
        context: &CallContext,
    ) -> Outcome<ProvisionAnswer> {
        let exchange = self.send(prepared, PreparedKind::Provision, context).await;
        classify::provision(exchange, self.reading())
    }

    /// `PATCH /v2/service_instances/:id`
    pub async fn send_update(
        &self,
        prepared: &Prepared,
        context: &CallContext,
    ) -> Outcome<UpdateAnswer> {
        let exchange = self.send(prepared, PreparedKind::Update, context).await;
        classify::update(exchange, self.reading())
    }

    /// `PUT …/service_bindings/:id`. With [`Outcome::Accepted`] the document is empty: fetch it
    /// when the operation has succeeded (OSB-110).
    pub async fn send_bind(
        &self,
        prepared: &Prepared,
        context: &CallContext,
    ) -> Outcome<BindingDocument> {
        let exchange = self.send(prepared, PreparedKind::Bind, context).await;
        classify::bind(exchange, self.reading(), &prepared.requires)
    }

    /// `DELETE /v2/service_instances/:id` (OSB-180)
    pub async fn deprovision(&self, target: &InstanceTarget, context: &CallContext) -> Outcome<()> {
        let path = instance_path(&target.instance_id);
        let query = removal_query(&target.service_id, &target.plan_id, true);
        let call = self.call(Method::DELETE, &path, &query);
        classify::remove(self.exchange(call, context).await, self.reading())
    }

    /// `DELETE …/service_bindings/:id` (OSB-180); asynchronous answers are accepted since 2.14.
    pub async fn unbind(&self, target: &BindingTarget, context: &CallContext) -> Outcome<()> {
        let path = binding_path(&target.instance_id, &target.binding_id);
        let asynchronous = self.api_version().has_asynchronous_bindings();
        let query = removal_query(&target.service_id, &target.plan_id, asynchronous);
        let call = self.call(Method::DELETE, &path, &query);
        classify::remove(self.exchange(call, context).await, self.reading())
    }

    async fn send(
        &self,
        prepared: &Prepared,
        kind: PreparedKind,
        context: &CallContext,
    ) -> Exchange {
        if prepared.kind != kind {
            return Exchange::NotSent(format!("this request is {:?}, not {kind:?}", prepared.kind));
        }
        let method = match kind {
            PreparedKind::Provision | PreparedKind::Bind => Method::PUT,
            PreparedKind::Update => Method::PATCH,
        };
        let call = self.call(method, &prepared.path, &prepared.query);
        self.exchange(Call { body: Some(&prepared.body), ..call }, context).await
    }

    pub(super) fn reading(&self) -> Reading {
        Reading { version: self.api_version(), json_depth: self.limits.json_depth }
    }
}

fn removal_query(service_id: &str, plan_id: &str, asynchronous: bool) -> String {
    let (service, plan) = (address::encode(service_id), address::encode(plan_id));
    let ids = format!("service_id={service}&plan_id={plan}");
    if asynchronous { format!("{ids}&{ACCEPTS_INCOMPLETE}") } else { ids }
}
