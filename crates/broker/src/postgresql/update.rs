//! Update: another shared plan, more extensions, more storage; all at once, none in the background.
//!
//! The entry in the books is changed last, so that after a crash the same request makes everything
//! equal again and a DELETE still names the plan that the books have.

use dispatch_osb::broker::{Failure, Update, Updated};
use dispatch_osb::types::UpdateAnswer;

use super::broker::{PostgresBroker, Trouble};
use super::error::PgError;
use super::names::InstanceNames;
use super::parameters::Parameters;
use super::plan::{Place, Plan};
use super::session::Session;
use super::{extensions, objects, provision, request, sql};
use crate::books::{Instance, State};

impl PostgresBroker {
    /// 200 changed, or nothing to change.
    pub(super) async fn update_instance(&self, asked: &Update) -> Result<Updated, Trouble> {
        let body = &asked.body;
        request::no_maintenance(body.maintenance_info.as_ref())?;
        let _turn = self.turn(&asked.instance_id).await?;
        let Some(row) = self.books.instance(&asked.instance_id).await? else {
            return Err(Failure::not_found("there is no such instance").into());
        };
        let to_id = body.plan_id.as_deref().unwrap_or(&row.plan_id);
        let from = request::plan(&row.service_id, &row.plan_id)?;
        let to = request::plan(&body.service_id, to_id)?;
        may_change(from, to)?;
        if row.state != State::Ready {
            let text = "the instance is not made yet, or half removed";
            return Err(Failure::unprocessable(Some("InstanceNotReady"), text).into());
        }
        let before = Parameters::stored(&row.parameters);
        let after = before.changed(to, &self.offer, body.parameters.as_ref())?;
        if after.storage < before.storage {
            let text = "parameters.storage: it can be raised, not lowered";
            return Err(Failure::unprocessable(Some("StorageNotLowered"), text).into());
        }
        if from == to && before == after {
            return Ok(Updated::Done(UpdateAnswer::default()));
        }
        let changed =
            Instance { plan_id: to.id.to_owned(), parameters: after.to_text(), ..row.clone() };
        if from != to || before.extensions != after.extensions {
            let (server, names) = (self.server(&row)?, InstanceNames::of(&row.id));
            let session = server.pool.locked(names.lock).await?;
            self.pass()?;
            if from != to {
                let bindings = self.books.bindings(&row.id).await?;
                let logins = bindings.iter().map(|binding| names.login(&binding.id));
                limit_connections(&session, &names, logins, to.connections).await?;
            }
            let inside = objects::inside(&session, &names.database).await?;
            extensions::create(&inside, &names, &after.extensions).await?;
            session.give_back().await;
        }
        self.pass()?;
        self.books.put_instance(changed).await?;
        self.pass()?;
        if to.place == Place::Dedicated {
            self.dedicated()?.look(&row.id);
        }
        Ok(Updated::Done(UpdateAnswer::default()))
    }
}

fn may_change(from: &Plan, to: &Plan) -> Result<(), Failure> {
    match (from.place, to.place) {
        (Place::Shared, Place::Shared) => Ok(()),
        _ if from == to => Ok(()),
        _ => {
            let text = format!(
                "plan_id: an instance of plan {} cannot get plan {}: make a new one, and move the \
                 data with pg_dump",
                from.name, to.name
            );
            Err(Failure::unprocessable(Some("PlanChangeNotSupported"), text))
        }
    }
}

async fn limit_connections(
    session: &Session,
    names: &InstanceNames,
    logins: impl Iterator<Item = String>,
    connections: u16,
) -> Result<(), PgError> {
    for login in logins {
        // A binding that is half made or half removed may have none.
        if objects::role_exists(session, &login).await? {
            let role = sql::name(&login);
            let statement = format!("ALTER ROLE {role} CONNECTION LIMIT {connections}");
            session.run("limit a login's connections", &statement).await?;
        }
    }
    provision::limit_connections(session, names, connections).await
}
