//! Instances of the fake broker: provision, update, deprovision, fetch.

use super::books::{InstanceRecord, Standing, Subject, Verb};
use super::operations::Begun;
use super::state::State;
use crate::broker::{
    Deprovision, Failure, GetInstance, Provision, Provisioned, Removed, Update, Updated,
};
use crate::types::{
    InstanceDocument, MaintenanceVersion, OperationState, Plan, ProvisionAnswer, Service,
    UpdateAnswer, UpdateBody,
};

impl State {
    pub(super) fn provision(&mut self, request: Provision) -> Result<Provisioned, Failure> {
        let (id, body) = (request.instance_id, request.body);
        let subject = Subject::Instance(id.clone());
        if let Some(instance) = self.books.instances.get(&id) {
            if instance.body != body {
                return Err(Failure::conflict("an instance with this id has other attributes"));
            }
            let mut answer = answer_of(instance);
            return match instance.standing {
                Standing::Ready | Standing::Updating => Ok(Provisioned::Exists(answer)),
                Standing::Creating => {
                    answer.operation = self.running_operation(&subject);
                    Ok(Provisioned::Accepted(answer))
                }
                Standing::Deleting => Err(Failure::concurrency_error("it is being removed")),
                Standing::CreateFailed => Err(Failure::conflict("its creation has failed")),
            };
        }
        if self.books.instances_ever.contains(&id) {
            self.books.violation(format!("OSB-080: the instance id {id} was used again"));
        }
        let (service, plan) = self.offered(&body.service_id, &body.plan_id)?;
        for (name, value) in
            [("organization_guid", &body.organization_guid), ("space_guid", &body.space_guid)]
        {
            if value.as_ref().is_none_or(String::is_empty) {
                return Err(Failure::bad_request(format!("{name} is missing (OSB-082)")));
            }
        }
        let version = checked_version(&plan, body.maintenance_info.as_ref())?;
        let key = (body.service_id.clone(), body.plan_id.clone());
        self.used.insert(key, (service, plan));
        let work = self.settings.provision.clone();
        needs_async(&work, request.accepts_incomplete)?;
        let dashboard = self.settings.dashboard_url.as_ref();
        let record = InstanceRecord {
            plan_id: body.plan_id.clone(),
            parameters: body.parameters.clone(),
            maintenance_version: version,
            context: body.context.clone(),
            dashboard_url: dashboard.map(|url| url.replace("{instance}", &id)),
            standing: Standing::Creating,
            body,
        };
        let mut answer = answer_of(&record);
        self.books.instances.insert(id.clone(), record);
        self.books.instances_ever.insert(id);
        match self.begin(&work, subject, Verb::Create, None)? {
            Begun::Over => Ok(Provisioned::Created(answer)),
            Begun::Running { operation } => {
                answer.operation = operation;
                Ok(Provisioned::Accepted(answer))
            }
        }
    }

    pub(super) fn update(&mut self, request: Update) -> Result<Updated, Failure> {
        let (id, body) = (request.instance_id, request.body);
        let subject = Subject::Instance(id.clone());
        let Some(instance) = self.books.instances.get(&id).cloned() else {
            return Err(Failure::gone());
        };
        if instance.standing == Standing::CreateFailed {
            return Err(Failure::unprocessable(None, "its creation has failed"));
        }
        let dashboard_url = instance.dashboard_url.clone();
        if let Some(running) = self.books.running(&subject) {
            if running.verb == Verb::Update && running.update.as_ref() == Some(&body) {
                let operation = running.operation.clone();
                let answer = UpdateAnswer { dashboard_url, operation, metadata: None };
                return Ok(Updated::Accepted(answer));
            }
            return Err(Failure::concurrency_error("an operation is under way"));
        }
        self.serial(&id)?;
        if body.service_id != instance.body.service_id {
            return Err(Failure::bad_request("the service of an instance cannot change"));
        }
        self.check_change(&instance, &body)?;
        let work = self.settings.update.clone();
        needs_async(&work, request.accepts_incomplete)?;
        if let Some(record) = self.books.instances.get_mut(&id) {
            record.standing = Standing::Updating;
        }
        let mut answer = UpdateAnswer { dashboard_url, operation: None, metadata: None };
        match self.begin(&work, subject, Verb::Update, Some(body))? {
            Begun::Over => Ok(Updated::Done(answer)),
            Begun::Running { operation } => {
                answer.operation = operation;
                Ok(Updated::Accepted(answer))
            }
        }
    }

    /// Whether this change is allowed at all.
    fn check_change(&mut self, old: &InstanceRecord, body: &UpdateBody) -> Result<(), Failure> {
        let (service, old_plan) = self.used(&body.service_id, &old.plan_id)?;
        let target = body.plan_id.as_ref().unwrap_or(&old.plan_id);
        let (_, plan) = match *target == old.plan_id {
            true => (service.clone(), old_plan.clone()),
            false => self.offered(&body.service_id, target)?,
        };
        if *target != old.plan_id && !old_plan.is_updateable(&service) {
            self.books.violation("OSB-039: a plan was changed that cannot be changed");
            return Err(Failure::unprocessable(None, "this plan cannot be changed"));
        }
        let only_context =
            body.plan_id.is_none() && body.parameters.is_none() && body.maintenance_info.is_none();
        if only_context && body.context.is_some() && !service.allow_context_updates {
            self.books.violation("OSB-133: a context was updated that cannot be");
        }
        checked_version(&plan, body.maintenance_info.as_ref())?;
        self.used.insert((body.service_id.clone(), target.clone()), (service, plan));
        Ok(())
    }

    pub(super) fn deprovision(&mut self, request: Deprovision) -> Result<Removed, Failure> {
        let id = request.instance_id;
        let subject = Subject::Instance(id.clone());
        let Some(instance) = self.books.instances.get(&id) else {
            return Err(Failure::gone());
        };
        let mine = (&instance.body.service_id, &instance.plan_id);
        if mine != (&request.service_id, &request.plan_id) {
            self.books.violation("OSB-138: deprovisioned with another service or plan");
            return Err(Failure::bad_request("service_id or plan_id is not that of the instance"));
        }
        if let Some(running) = self.removable(&subject)? {
            return Ok(running);
        }
        if self.books.bindings.values().any(|binding| binding.instance_id == id) {
            self.books.violation("OSB-181: deprovisioned with bindings");
            return Err(Failure::bad_request("there are bindings of this instance"));
        }
        let work = self.settings.deprovision.clone();
        needs_async(&work, request.accepts_incomplete)?;
        if let Some(record) = self.books.instances.get_mut(&id) {
            record.standing = Standing::Deleting;
        }
        match self.begin(&work, subject, Verb::Delete, None)? {
            Begun::Over => Ok(Removed::Done),
            Begun::Running { operation } => Ok(Removed::Accepted { operation }),
        }
    }

    /// The answer if the subject is already being removed; an error if something else is going
    /// on with it that a removal does not stop.
    pub(super) fn removable(&mut self, subject: &Subject) -> Result<Option<Removed>, Failure> {
        let halts = self.settings.delete_halts_creation;
        let Some(running) = self.books.running(subject) else { return Ok(None) };
        match running.verb {
            Verb::Delete => Ok(Some(Removed::Accepted { operation: running.operation.clone() })),
            Verb::Create if halts => {
                running.state = OperationState::Failed;
                Ok(None)
            }
            _ => Err(Failure::concurrency_error("an operation is under way")),
        }
    }

    pub(super) fn get_instance(
        &mut self,
        request: &GetInstance,
    ) -> Result<InstanceDocument, Failure> {
        let missing = || Failure::not_found("there is no such instance");
        let instance = self.books.instances.get(&request.instance_id).cloned();
        let instance = instance.ok_or_else(missing)?;
        let service = self.settings.catalog.service(&instance.body.service_id);
        if !service.is_some_and(|service| service.instances_retrievable) {
            self.books.violation("OSB-041: fetched an instance that cannot be fetched");
            return Err(Failure::bad_request("instances cannot be fetched"));
        }
        match instance.standing {
            Standing::Creating | Standing::CreateFailed => return Err(missing()),
            Standing::Updating => return Err(Failure::concurrency_error("it is being updated")),
            Standing::Ready | Standing::Deleting => {}
        }
        let version = instance.maintenance_version;
        Ok(InstanceDocument {
            service_id: Some(instance.body.service_id),
            plan_id: Some(instance.plan_id),
            dashboard_url: instance.dashboard_url,
            parameters: instance.parameters,
            maintenance_info: version.map(|version| MaintenanceVersion { version: Some(version) }),
            metadata: None,
        })
    }

    /// The service and plan, if they are in the catalogue.
    fn offered(&self, service_id: &str, plan_id: &str) -> Result<(Service, Plan), Failure> {
        let service = self.settings.catalog.service(service_id);
        let service = service.ok_or_else(|| Failure::bad_request("there is no such service"))?;
        let plan = service.plan(plan_id);
        let plan = plan.ok_or_else(|| Failure::bad_request("there is no such plan"))?;
        Ok((service.clone(), plan.clone()))
    }

    /// The service and plan of an instance that exists, in the catalogue or not any more.
    pub(super) fn used(&self, service_id: &str, plan_id: &str) -> Result<(Service, Plan), Failure> {
        let key = (service_id.to_owned(), plan_id.to_owned());
        self.offered(service_id, plan_id)
            .or_else(|failure| self.used.get(&key).cloned().ok_or(failure))
    }

    /// With strict settings, nothing may go on with the instance or any of its bindings.
    pub(super) fn serial(&mut self, instance_id: &str) -> Result<(), Failure> {
        let concerns = |subject: &Subject| match subject {
            Subject::Instance(id) => id == instance_id,
            Subject::Binding { instance, .. } => instance == instance_id,
        };
        let busy = self.books.operations.iter().any(|operation| {
            operation.state == OperationState::InProgress && concerns(&operation.subject)
        });
        match busy && self.settings.strictly_serial {
            true => Err(Failure::concurrency_error("one thing at a time")),
            false => Ok(()),
        }
    }

    pub(super) fn running_operation(&mut self, subject: &Subject) -> Option<String> {
        self.books.running(subject)?.operation.clone()
    }
}

/// Applies an update to an instance.
pub(super) fn apply(instance: &mut InstanceRecord, update: &UpdateBody) {
    if let Some(plan) = &update.plan_id {
        instance.plan_id.clone_from(plan);
    }
    if let Some(parameters) = &update.parameters {
        let known = instance.parameters.get_or_insert_default();
        known.extend(parameters.clone());
    }
    if let Some(context) = &update.context {
        instance.context = Some(context.clone());
    }
    if let Some(version) = update.maintenance_info.as_ref().and_then(|info| info.version.clone()) {
        instance.maintenance_version = Some(version);
    }
}

fn answer_of(instance: &InstanceRecord) -> ProvisionAnswer {
    let dashboard_url = instance.dashboard_url.clone();
    ProvisionAnswer { dashboard_url, operation: None, metadata: None }
}

/// The maintenance version that an instance gets; a stale one is a conflict (OSB-067).
fn checked_version(
    plan: &Plan,
    given: Option<&MaintenanceVersion>,
) -> Result<Option<String>, Failure> {
    let current = plan.maintenance_info.as_ref().map(|info| info.version.clone());
    match given {
        Some(given) if given.version != current => Err(Failure::maintenance_info_conflict()),
        _ => Ok(current),
    }
}

pub(super) fn needs_async(work: &super::Work, accepted: bool) -> Result<(), Failure> {
    match work.pace {
        super::Pace::AtOnce => Ok(()),
        _ if accepted => Ok(()),
        _ => Err(Failure::async_required()),
    }
}
