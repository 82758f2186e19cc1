//! The broker: requests against the books, effects through the verbs' files.
//!
//! Every change follows one pattern: wait for the instance's turn, compare with the books, lock the
//! instance in PostgreSQL, write the intent, carry it out, write that it is done. A request that was
//! cut off anywhere is simply sent again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_osb::broker::{
    Bind, Bound, Broker, Call, Deprovision, Failure, GetBinding, GetInstance, PollInstance,
    Progress, Provision, Provisioned, Removed, Unbind, Update, Updated,
};
use dispatch_osb::types::{BindingDocument, Catalog, InstanceDocument};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::catalog::catalog;
use super::credentials;
use super::dedicated::{ClusterError, Dedicated};
use super::error::PgError;
use super::names::InstanceNames;
use super::parameters::{Offer, Parameters};
use super::plan::Place;
use super::request;
use super::server::Server;
use super::session::{Steps, Timeouts};
use crate::books::{Books, BooksError, Instance, State};
use crate::keys::BrokerKey;
use crate::turns::{Turn, Turns, Waited};

/// The broker of class `postgresql`.
pub(super) struct PostgresBroker {
    /// On which the instances of the shared plans live.
    pub(super) shared: Arc<Server>,
    /// On which the others live; none where there can be none.
    pub(super) dedicated: Option<Arc<Dedicated>>,
    pub(super) offer: Offer,
    pub(super) books: Books,
    pub(super) key: Arc<BrokerKey>,
    pub(super) turns: Turns,
    pub(super) timeouts: Timeouts,
    pub(super) steps: Steps,
    /// Knows the changes that are under way, also those whose callers have gone.
    pub(super) under_way: TaskTracker,
}

/// How an operation ends that does not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The request is refused.
    #[error(transparent)]
    Refused(#[from] Failure),
    #[error(transparent)]
    Busy(#[from] Waited),
    #[error(transparent)]
    Postgres(#[from] PgError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Books(#[from] BooksError),
}

#[async_trait]
impl Broker for PostgresBroker {
    async fn catalog(&self, _: &Call) -> Result<Catalog, Failure> {
        Ok(catalog(&self.offer))
    }

    async fn provision(&self, _: &Call, request: Provision) -> Result<Provisioned, Failure> {
        self.operation("provision", &request.instance_id, self.provision_instance(&request)).await
    }

    async fn update(&self, _: &Call, request: Update) -> Result<Updated, Failure> {
        self.operation("update", &request.instance_id, self.update_instance(&request)).await
    }

    async fn deprovision(&self, _: &Call, request: Deprovision) -> Result<Removed, Failure> {
        self.operation("deprovision", &request.instance_id, self.remove_instance(&request)).await
    }

    async fn instance_operation(
        &self,
        _: &Call,
        request: PollInstance,
    ) -> Result<Progress, Failure> {
        Ok(self.instance_progress(&request).await?)
    }

    async fn bind(&self, _: &Call, request: Bind) -> Result<Bound, Failure> {
        self.operation("bind", &request.instance_id, self.make_binding(&request)).await
    }

    async fn unbind(&self, _: &Call, request: Unbind) -> Result<Removed, Failure> {
        self.operation("unbind", &request.instance_id, self.remove_binding(&request)).await
    }

    async fn get_instance(
        &self,
        _: &Call,
        request: GetInstance,
    ) -> Result<InstanceDocument, Failure> {
        let id = &request.instance_id;
        let found = self.operation("fetch", id, async { Ok(self.books.instance(id).await?) });
        match found.await? {
            Some(row) if row.state == State::Ready => Ok(InstanceDocument {
                metadata: self.metadata(&row),
                parameters: Some(Parameters::stored(&row.parameters).to_object()),
                service_id: Some(row.service_id),
                plan_id: Some(row.plan_id),
                ..InstanceDocument::default()
            }),
            _ => Err(Failure::not_found("there is no such instance")),
        }
    }

    async fn get_binding(&self, _: &Call, request: GetBinding) -> Result<BindingDocument, Failure> {
        let (instance, binding) = (&request.instance_id, &request.binding_id);
        self.operation("fetch", instance, async {
            let found = self.books.instance(instance).await?;
            let ready = self.books.binding(instance, binding).await?;
            match (found, ready) {
                (Some(row), Some(ready)) if ready.state == State::Ready => {
                    self.document(&row, binding)
                }
                _ => Err(Failure::not_found("there is no such binding").into()),
            }
        })
        .await
    }
}

impl PostgresBroker {
    /// What a binding's consumer gets. The same at every call.
    pub(super) fn document(
        &self,
        instance: &Instance,
        binding_id: &str,
    ) -> Result<BindingDocument, Trouble> {
        let names = InstanceNames::of(&instance.id);
        let password = self.key.password(&instance.id, binding_id);
        let login = names.login(binding_id);
        let reach = &self.server(instance)?.reach;
        Ok(credentials::document(reach, &names.database, &login, &password))
    }

    /// The server on which an instance lives.
    pub(super) fn server(&self, instance: &Instance) -> Result<Arc<Server>, Trouble> {
        match request::plan(&instance.service_id, &instance.plan_id)?.place {
            Place::Shared => Ok(Arc::clone(&self.shared)),
            Place::Dedicated => Ok(self.dedicated()?.server(instance)),
        }
    }

    /// The servers of instances' own.
    pub(super) fn dedicated(&self) -> Result<&Arc<Dedicated>, Failure> {
        let text = "this broker runs where it can have no dedicated servers; its log says why";
        self.dedicated.as_ref().ok_or_else(|| Failure::internal(text))
    }

    /// Waits until no other request changes this instance.
    pub(super) async fn turn(&self, instance_id: &str) -> Result<Turn, Trouble> {
        Ok(self.turns.take(instance_id, self.timeouts.turn).await?)
    }

    /// A point at which a test may kill the process.
    pub(super) fn pass(&self) -> Result<(), Trouble> {
        Ok(self.steps.pass()?)
    }

    /// Runs an operation within its time. What went wrong is logged here, once.
    async fn operation<T>(
        &self,
        verb: &'static str,
        instance_id: &str,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Failure> {
        let _under_way = self.under_way.token();
        let limit = self.timeouts.operation;
        let trouble = match timeout(limit, work).await {
            Ok(Ok(answer)) => {
                tracing::info!(verb, instance_id, "done");
                return Ok(answer);
            }
            Ok(Err(trouble)) => trouble,
            Err(_) => PgError::TimedOut { step: "do all that", limit_ms: limit.as_millis() }.into(),
        };
        match &trouble {
            Trouble::Refused(failure) => {
                tracing::info!(verb, instance_id, status = failure.status().as_u16(), "refused");
            }
            Trouble::Busy(_) | Trouble::Postgres(PgError::Busy { .. }) => {
                tracing::warn!(verb, instance_id, reason = %trouble, "busy");
            }
            _ => {
                let cause = std::error::Error::source(&trouble).map(ToString::to_string);
                tracing::error!(verb, instance_id, reason = %trouble, cause, "failed");
            }
        }
        Err(trouble.into())
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        const LATER: Option<Duration> = Some(Duration::from_secs(2));
        match trouble {
            Trouble::Refused(failure) => failure,
            Trouble::Busy(waited) => Failure::concurrency_error(waited.to_string()),
            Trouble::Cluster(error @ ClusterError::NoPort { .. }) => {
                Failure::unprocessable(Some("NoPortLeft"), error.to_string())
            }
            Trouble::Cluster(ClusterError::Postgres(error)) => Self::from(Trouble::from(error)),
            Trouble::Cluster(error) => Failure::internal(error.to_string()),
            Trouble::Books(_) => {
                Failure::internal("the broker cannot use its books; its log says why")
            }
            Trouble::Postgres(error) => match error {
                PgError::Busy { .. } => Failure::concurrency_error(error.to_string()),
                PgError::Unreachable { .. }
                | PgError::Refused { .. }
                | PgError::Lost { .. }
                | PgError::TimedOut { .. }
                | PgError::Exhausted { .. } => Failure::unavailable(error.to_string(), LATER),
                PgError::Statement { .. }
                | PgError::Sessions { .. }
                | PgError::Answer { .. }
                | PgError::Killed => Failure::internal(error.to_string()),
            },
        }
    }
}
