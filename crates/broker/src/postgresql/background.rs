//! Provision and deprovision of what takes its time, and how far it is: the requests.

use dispatch_osb::broker::{Failure, PollInstance, Progress, Provisioned, Removed};
use dispatch_osb::types::{InstanceMetadata, LastOperation, OperationState, ProvisionAnswer};
use serde_json::json;

use super::broker::{PostgresBroker, Trouble};
use super::catalog::object;
use super::plan::Place;
use super::request;
use crate::books::{Instance, State};

/// What a platform names when it asks how far an operation is.
const PROVISION: &str = "provision";
const DEPROVISION: &str = "deprovision";

impl PostgresBroker {
    /// Has an instance made, unless that is under way.
    pub(super) async fn begin(
        &self,
        accepts_incomplete: bool,
        wanted: Instance,
        known: Option<Instance>,
    ) -> Result<Provisioned, Trouble> {
        if !accepts_incomplete {
            return Err(Failure::async_required().into());
        }
        match known {
            Some(Instance { failure: None, .. }) => {}
            Some(Instance { port: Some(_), .. }) => {
                let text = "what an attempt that failed has made is being removed";
                return Err(Failure::concurrency_error(text).into());
            }
            Some(_) | None => self.dedicated()?.begin(wanted).await?,
        }
        let operation = Some(PROVISION.to_owned());
        Ok(Provisioned::Accepted(ProvisionAnswer { operation, ..ProvisionAnswer::default() }))
    }

    /// Has an instance removed, made or not.
    pub(super) async fn begin_removal(
        &self,
        accepts_incomplete: bool,
        row: Instance,
    ) -> Result<Removed, Trouble> {
        if row.failure.is_some() && row.port.is_none() {
            self.books.remove_instance(&row.id).await?;
            return Ok(Removed::Done);
        }
        if !accepts_incomplete {
            return Err(Failure::async_required().into());
        }
        let dedicated = self.dedicated()?;
        if row.state != State::Deleting {
            self.pass()?;
            let id = row.id.clone();
            self.books.put_instance(Instance { state: State::Deleting, ..row }).await?;
            self.pass()?;
            dedicated.look(&id);
        }
        Ok(Removed::Accepted { operation: Some(DEPROVISION.to_owned()) })
    }

    /// How far the last operation is, in words; 410 when nothing is left.
    pub(super) async fn instance_progress(
        &self,
        asked: &PollInstance,
    ) -> Result<Progress, Trouble> {
        let Some(row) = self.books.instance(&asked.instance_id).await? else {
            return Err(Failure::gone().into());
        };
        if request::plan(&row.service_id, &row.plan_id)?.place == Place::Shared {
            let text = "instances of this plan are made and removed at once";
            return Err(Failure::bad_request(text).into());
        }
        let (state, description) = match (row.state, row.failure, row.port) {
            (State::Ready, ..) => (OperationState::Succeeded, None),
            (State::Creating, Some(failure), None) => (OperationState::Failed, Some(failure)),
            _ => {
                let progress = self.dedicated()?.said(&row.id).progress;
                (OperationState::InProgress, Some(progress).filter(|text| !text.is_empty()))
            }
        };
        Ok(LastOperation { description, ..LastOperation::new(state) }.into())
    }

    /// What there is to tell of an instance besides what was asked for.
    pub(super) fn metadata(&self, row: &Instance) -> Option<InstanceMetadata> {
        let said = self.dedicated.as_ref()?.said(&row.id);
        let (used, level) = said.storage?;
        let attributes = json!({
            "server": said.progress,
            "storage": level.word(),
            "storageUsedBytes": used,
        });
        Some(InstanceMetadata { attributes: Some(object(attributes)), labels: None })
    }
}
