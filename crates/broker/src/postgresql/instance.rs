//! Provision and deprovision: the requests.

use dispatch_osb::broker::{Deprovision, Failure, Provision, Provisioned, Removed};
use dispatch_osb::types::ProvisionAnswer;
use serde_json::json;

use super::broker::{PostgresBroker, Trouble};
use super::deprovision::deprovision;
use super::names::InstanceNames;
use super::parameters::{Offer, Parameters};
use super::plan::Place;
use super::{provision, request};
use crate::books::{Instance, State};

impl PostgresBroker {
    /// 201 made, 202 begun, 200 there already, 409 there with other attributes.
    pub(super) async fn provision_instance(
        &self,
        asked: &Provision,
    ) -> Result<Provisioned, Trouble> {
        let wanted = wanted(asked, &self.offer)?;
        let place = request::plan(&wanted.service_id, &wanted.plan_id)?.place;
        let _turn = self.turn(&wanted.id).await?;
        let known = self.books.instance(&wanted.id).await?;
        match &known {
            Some(row) if !is_same(row, &wanted) => return Err(other_attributes().into()),
            Some(Instance { state: State::Ready, .. }) => {
                return Ok(Provisioned::Exists(ProvisionAnswer::default()));
            }
            Some(Instance { state: State::Deleting, .. }) => return Err(half_removed().into()),
            Some(Instance { state: State::Creating, .. }) | None => {}
        }
        match place {
            Place::Shared => self.make_now(wanted, known.is_some()).await,
            Place::Dedicated => self.begin(asked.accepts_incomplete, wanted, known).await,
        }
    }

    /// Makes an instance on the shared server.
    async fn make_now(&self, wanted: Instance, known: bool) -> Result<Provisioned, Trouble> {
        let (names, server) = (InstanceNames::of(&wanted.id), &self.shared);
        let session = server.pool.locked(names.lock).await?;
        if !known {
            if provision::is_taken(&session, &names).await? {
                return Err(not_ours().into());
            }
            self.pass()?;
            self.books.put_instance(wanted.clone()).await?;
            self.pass()?;
        }
        let connections = request::plan(&wanted.service_id, &wanted.plan_id)?.connections;
        let extensions = Parameters::stored(&wanted.parameters).extensions;
        provision::provision(&session, &names, connections, &extensions, server.superuser).await?;
        self.books.put_instance(Instance { state: State::Ready, ..wanted }).await?;
        self.pass()?;
        session.give_back().await;
        Ok(Provisioned::Created(ProvisionAnswer::default()))
    }

    /// 200 removed, 202 begun, 410 not there.
    pub(super) async fn remove_instance(&self, asked: &Deprovision) -> Result<Removed, Trouble> {
        let _turn = self.turn(&asked.instance_id).await?;
        let Some(row) = self.books.instance(&asked.instance_id).await? else {
            return Err(Failure::gone().into());
        };
        request::same_plan((&asked.service_id, &asked.plan_id), (&row.service_id, &row.plan_id))?;
        match request::plan(&row.service_id, &row.plan_id)?.place {
            Place::Shared => self.remove_now(row).await,
            Place::Dedicated => self.begin_removal(asked.accepts_incomplete, row).await,
        }
    }

    /// Removes an instance from the shared server.
    async fn remove_now(&self, row: Instance) -> Result<Removed, Trouble> {
        let names = InstanceNames::of(&row.id);
        let session = self.shared.pool.locked(names.lock).await?;
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
fn wanted(asked: &Provision, offer: &Offer) -> Result<Instance, Failure> {
    let body = &asked.body;
    let plan = request::plan(&body.service_id, &body.plan_id)?;
    if !offer.plans().any(|offered| offered == plan) {
        let text = "plan_id: this broker runs where it cannot make that; its log says why";
        return Err(Failure::bad_request(text));
    }
    let parameters = Parameters::read(plan, offer, body.parameters.as_ref())?;
    request::no_maintenance(body.maintenance_info.as_ref())?;
    let digest =
        request::attributes(&json!([body.service_id, body.organization_guid, body.space_guid]));
    Ok(Instance {
        id: asked.instance_id.clone(),
        service_id: body.service_id.clone(),
        plan_id: body.plan_id.clone(),
        digest,
        state: State::Creating,
        parameters: parameters.to_text(),
        port: None,
        failure: None,
    })
}

/// Whether a request asks for what there is, or is being made.
fn is_same(row: &Instance, wanted: &Instance) -> bool {
    (&row.digest, &row.plan_id, &row.parameters)
        == (&wanted.digest, &wanted.plan_id, &wanted.parameters)
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
