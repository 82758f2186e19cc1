//! Bind and unbind: the requests.

use dispatch_osb::broker::{Bind, Bound, Failure, Removed, Unbind};
use dispatch_osb::types::BindAnswer;
use serde_json::json;

use super::broker::{PostgresBroker, Trouble};
use super::names::InstanceNames;
use super::unbind::unbind;
use super::{bind, request};
use crate::books::{Binding, Instance, State};

impl PostgresBroker {
    /// 201 made, 200 there already with the same credentials, 409 there with other attributes.
    pub(super) async fn make_binding(&self, asked: &Bind) -> Result<Bound, Trouble> {
        let wanted = wanted(asked)?;
        let instance_id = &asked.instance_id;
        let _turn = self.turn(instance_id).await?;
        let instance = self.usable(asked).await?;
        let plan = request::plan(&instance.service_id, &instance.plan_id)?;
        let answer =
            BindAnswer { document: self.document(&instance, &asked.binding_id)?, operation: None };
        let known = match self.books.binding(instance_id, &wanted.id).await? {
            None => false,
            Some(row) if row.digest != wanted.digest => {
                return Err(Failure::conflict("the binding exists with other attributes").into());
            }
            Some(Binding { state: State::Ready, .. }) => return Ok(Bound::Exists(answer)),
            Some(Binding { state: State::Deleting, .. }) => {
                let text = "the binding is half removed: remove it again, or take another id";
                return Err(Failure::conflict(text).into());
            }
            Some(Binding { state: State::Creating, .. }) => true,
        };
        let names = InstanceNames::of(instance_id);
        let login = names.login(&wanted.id);
        let server = self.server(&instance)?;
        let session = server.pool.locked(names.lock).await?;
        if !known {
            if bind::is_taken(&session, &login).await? {
                let text = "PostgreSQL has a role of this binding's name that is not in the \
                    broker's books: it is left alone; take another id";
                return Err(Failure::conflict(text).into());
            }
            self.pass()?;
            self.books.put_binding(instance_id, wanted.clone()).await?;
            self.pass()?;
        }
        let (verifier, limit) = (self.key.verifier(instance_id, &wanted.id), plan.connections);
        bind::bind(&session, &names, &login, &verifier, limit, server.superuser).await?;
        self.books.put_binding(instance_id, Binding { state: State::Ready, ..wanted }).await?;
        self.pass()?;
        session.give_back().await;
        Ok(Bound::Created(answer))
    }

    /// 200 removed, 410 not there.
    pub(super) async fn remove_binding(&self, asked: &Unbind) -> Result<Removed, Trouble> {
        let instance_id = &asked.instance_id;
        let _turn = self.turn(instance_id).await?;
        let instance = self.books.instance(instance_id).await?;
        let binding = self.books.binding(instance_id, &asked.binding_id).await?;
        let (Some(instance), Some(row)) = (instance, binding) else {
            return Err(Failure::gone().into());
        };
        request::same_plan(
            (&asked.service_id, &asked.plan_id),
            (&instance.service_id, &instance.plan_id),
        )?;
        let names = InstanceNames::of(instance_id);
        let login = names.login(&row.id);
        let server = self.server(&instance)?;
        let session = server.pool.locked(names.lock).await?;
        self.pass()?;
        let id = row.id.clone();
        self.books.put_binding(instance_id, Binding { state: State::Deleting, ..row }).await?;
        self.pass()?;
        unbind(&session, &names, &login).await?;
        self.books.remove_binding(instance_id, &id).await?;
        self.pass()?;
        session.give_back().await;
        Ok(Removed::Done)
    }

    /// The instance, if it can be bound.
    async fn usable(&self, asked: &Bind) -> Result<Instance, Trouble> {
        let Some(row) = self.books.instance(&asked.instance_id).await? else {
            return Err(Failure::not_found("there is no such instance").into());
        };
        request::same_plan(
            (&asked.body.service_id, &asked.body.plan_id),
            (&row.service_id, &row.plan_id),
        )?;
        let (code, text) = match row.state {
            State::Ready => return Ok(row),
            State::Creating => ("InstanceNotReady", "the instance is not made yet: make it again"),
            State::Deleting => ("InstanceRemoved", "the instance is half removed"),
        };
        Err(Failure::unprocessable(Some(code), text).into())
    }
}

/// The row of what was asked for, if it may be asked for.
fn wanted(asked: &Bind) -> Result<Binding, Failure> {
    let body = &asked.body;
    request::plan(&body.service_id, &body.plan_id)?;
    request::no_parameters(body.parameters.as_ref())?;
    if body.predecessor_binding_id.is_some() {
        let text = "predecessor_binding_id: this plan's bindings are not rotated by the broker; \
            bind anew, then unbind";
        return Err(Failure::bad_request(text));
    }
    let digest = request::attributes(&json!([
        body.service_id,
        body.plan_id,
        body.app_guid,
        body.bind_resource,
    ]));
    Ok(Binding { id: asked.binding_id.clone(), digest, state: State::Creating })
}
