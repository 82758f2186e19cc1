//! Provision and deprovision: the requests.

use dispatch_osb::broker::{Deprovision, Failure, Provision, Provisioned, Removed};
use dispatch_osb::types::ProvisionAnswer;
use serde_json::json;

use super::broker::{PostgresBroker, Trouble};
use super::deprovision::deprovision;
use super::names::InstanceNames;
use super::plan::Shape;
use super::{provision, request};
use crate::books::{Instance, State};

impl PostgresBroker {
    /// 201 made, 200 there already, 409 there with other attributes.
    pub(super) async fn provision_instance(
        &self,
        asked: &Provision,
    ) -> Result<Provisioned, Trouble> {
        let wanted = wanted(asked)?;
        let plan = request::plan(&wanted.service_id, &wanted.plan_id)?;
        let _turn = self.turn(&wanted.id).await?;
        let known = match self.books.instance(&wanted.id).await? {
            None => false,
            Some(row) if row.digest != wanted.digest => {
                return Err(other_attributes().into());
            }
            Some(Instance { state: State::Ready, .. }) => {
                return Ok(Provisioned::Exists(ProvisionAnswer::default()));
            }
            Some(Instance { state: State::Deleting, .. }) => {
                return Err(half_removed().into());
            }
            Some(Instance { state: State::Creating, .. }) => true,
        };
        let names = InstanceNames::of(&wanted.id);
        let session = self.pool.locked(names.lock).await?;
        if !known {
            if provision::is_taken(&session, &names).await? {
                return Err(not_ours().into());
            }
            self.pass()?;
            self.books.put_instance(wanted.clone()).await?;
            self.pass()?;
        }
        match plan.shape {
            Shape::Shared(limits) => {
                provision::provision(&session, &names, limits, self.superuser).await?;
            }
        }
        self.books.put_instance(Instance { state: State::Ready, ..wanted }).await?;
        self.pass()?;
        session.give_back().await;
        Ok(Provisioned::Created(ProvisionAnswer::default()))
    }

    /// 200 removed, 410 not there.
    pub(super) async fn remove_instance(&self, asked: &Deprovision) -> Result<Removed, Trouble> {
        let _turn = self.turn(&asked.instance_id).await?;
        let Some(row) = self.books.instance(&asked.instance_id).await? else {
            return Err(Failure::gone().into());
        };
        request::same_plan((&asked.service_id, &asked.plan_id), (&row.service_id, &row.plan_id))?;
        let names = InstanceNames::of(&row.id);
        let session = self.pool.locked(names.lock).await?;
        self.pass()?;
        let id = row.id.clone();
        self.books.put_instance(Instance { state: State::Deleting, ..row }).await?;
        self.pass()?;
        let bindings = self.books.bindings(&id).await?;
        let logins = bindings.iter().map(|binding| names.login(&binding.id)).collect();
        deprovision(&session, &names, logins).await?;
        self.books.remove_instance(&id).await?;
        self.pass()?;
        session.give_back().await;
        Ok(Removed::Done)
    }
}

/// The row of what was asked for, if it may be asked for.
fn wanted(asked: &Provision) -> Result<Instance, Failure> {
    let body = &asked.body;
    request::plan(&body.service_id, &body.plan_id)?;
    request::no_parameters(body.parameters.as_ref())?;
    if body.maintenance_info.as_ref().is_some_and(|info| info.version.is_some()) {
        return Err(Failure::maintenance_info_conflict());
    }
    let digest = request::attributes(&json!([
        body.service_id,
        body.plan_id,
        body.organization_guid,
        body.space_guid,
    ]));
    Ok(Instance {
        id: asked.instance_id.clone(),
        service_id: body.service_id.clone(),
        plan_id: body.plan_id.clone(),
        digest,
        state: State::Creating,
    })
}

fn other_attributes() -> Failure {
    Failure::conflict("the instance exists with other attributes")
}

fn half_removed() -> Failure {
    Failure::conflict("the instance is half removed: remove it again, or take another id")
}

fn not_ours() -> Failure {
    Failure::conflict(
        "PostgreSQL has a database or role of this instance's name that is not in the broker's \
         books: it is left alone; take another id",
    )
}
