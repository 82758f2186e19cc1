//! Bindings of the fake broker: bind, rotate, unbind, fetch.

use serde_json::json;

use super::books::{BindingRecord, Standing, Subject, Verb};
use super::instances::needs_async;
use super::operations::Begun;
use super::state::State;
use crate::broker::{Bind, Bound, Failure, GetBinding, Removed, Unbind};
use crate::types::{BindAnswer, BindBody, BindingDocument, JsonObject};

impl State {
    pub(super) fn bind(&mut self, request: Bind) -> Result<Bound, Failure> {
        let (instance, id, body) = (request.instance_id, request.binding_id, request.body);
        let subject = Subject::Binding { instance: instance.clone(), binding: id.clone() };
        if let Some(binding) = self.books.bindings.get(&id) {
            if binding.body != body || binding.instance_id != instance {
                return Err(Failure::conflict("a binding with this id has other attributes"));
            }
            return match binding.standing {
                Standing::Ready | Standing::Updating => Ok(Bound::Exists(self.served(&id))),
                Standing::Creating => {
                    Ok(Bound::Accepted { operation: self.running_operation(&subject) })
                }
                Standing::Deleting => Err(Failure::concurrency_error("it is being removed")),
                Standing::CreateFailed => Err(Failure::conflict("its creation has failed")),
            };
        }
        if self.books.bindings_ever.contains(&id) {
            self.books.violation(format!("OSB-080: the binding id {id} was used again"));
        }
        self.check_binding(&instance, &body)?;
        let work = self.settings.bind.clone();
        needs_async(&work, request.accepts_incomplete)?;
        let credentials = self.settings.credentials.clone();
        let record = BindingRecord {
            instance_id: instance,
            body,
            credentials: credentials.unwrap_or_else(|| own_credentials(&id)),
            served: 0,
            standing: Standing::Creating,
        };
        self.books.bindings.insert(id.clone(), record);
        self.books.bindings_ever.insert(id.clone());
        match self.begin(&work, subject, Verb::Create, None)? {
            Begun::Over => Ok(Bound::Created(self.served(&id))),
            Begun::Running { operation } => Ok(Bound::Accepted { operation }),
        }
    }

    /// Whether the instance can be bound like this.
    fn check_binding(&mut self, instance_id: &str, body: &BindBody) -> Result<(), Failure> {
        let Some(instance) = self.books.instances.get(instance_id).cloned() else {
            return Err(Failure::not_found("there is no such instance"));
        };
        match instance.standing {
            Standing::Ready => {}
            Standing::CreateFailed => {
                self.books.violation("OSB-150: bound an instance whose creation has failed");
                return Err(Failure::unprocessable(None, "its creation has failed"));
            }
            _ => return Err(Failure::concurrency_error("an operation is under way")),
        }
        self.serial(instance_id)?;
        if (&instance.body.service_id, &instance.plan_id) != (&body.service_id, &body.plan_id) {
            self.books.violation("OSB-138: bound with another service or plan");
            return Err(Failure::bad_request("service_id or plan_id is not that of the instance"));
        }
        let (service, plan) = self.used(&body.service_id, &body.plan_id)?;
        if !plan.is_bindable(&service) {
            self.books.violation("OSB-038: bound an instance of a plan that is not bindable");
            return Err(Failure::bad_request("this plan is not bindable"));
        }
        let resource = body.bind_resource.as_ref().and_then(|it| it.app_guid.as_ref());
        if self.settings.requires_app && resource.or(body.app_guid.as_ref()).is_none() {
            return Err(Failure::requires_app());
        }
        if let Some(predecessor) = &body.predecessor_binding_id {
            if !plan.binding_rotatable {
                self.books.violation("OSB-170: rotated a binding that cannot be rotated");
                return Err(Failure::bad_request("bindings of this plan cannot be rotated"));
            }
            let known = self.books.bindings.get(predecessor);
            if known.is_none_or(|known| known.instance_id != instance_id) {
                return Err(Failure::bad_request("there is no such predecessor"));
            }
        }
        Ok(())
    }

    pub(super) fn unbind(&mut self, request: Unbind) -> Result<Removed, Failure> {
        let (instance, id) = (request.instance_id, request.binding_id);
        let subject = Subject::Binding { instance: instance.clone(), binding: id.clone() };
        let Some(binding) = self.books.bindings.get(&id) else {
            return Err(Failure::gone());
        };
        if binding.instance_id != instance {
            return Err(Failure::gone());
        }
        if (&binding.body.service_id, &binding.body.plan_id)
            != (&request.service_id, &request.plan_id)
            && self.books.instances.get(&instance).is_some_and(|it| it.plan_id != request.plan_id)
        {
            self.books.violation("OSB-138: unbound with another service or plan");
            return Err(Failure::bad_request("service_id or plan_id is not that of the binding"));
        }
        if let Some(running) = self.removable(&subject)? {
            return Ok(running);
        }
        self.serial(&instance)?;
        let work = self.settings.unbind.clone();
        needs_async(&work, request.accepts_incomplete)?;
        if let Some(record) = self.books.bindings.get_mut(&id) {
            record.standing = Standing::Deleting;
        }
        match self.begin(&work, subject, Verb::Delete, None)? {
            Begun::Over => Ok(Removed::Done),
            Begun::Running { operation } => Ok(Removed::Accepted { operation }),
        }
    }

    pub(super) fn get_binding(&mut self, request: &GetBinding) -> Result<BindingDocument, Failure> {
        let missing = || Failure::not_found("there is no such binding");
        let id = &request.binding_id;
        let binding = self.books.bindings.get(id).cloned().ok_or_else(missing)?;
        let service = self.settings.catalog.service(&binding.body.service_id);
        if !service.is_some_and(|service| service.bindings_retrievable) {
            self.books.violation("OSB-041: fetched a binding that cannot be fetched");
            return Err(Failure::bad_request("bindings cannot be fetched"));
        }
        match binding.standing {
            Standing::Creating | Standing::CreateFailed => Err(missing()),
            _ if binding.instance_id != request.instance_id => Err(missing()),
            _ => Ok(BindingDocument {
                parameters: binding.body.parameters,
                ..self.served(id).document
            }),
        }
    }

    /// The binding's document, noting that its credentials have been given away.
    fn served(&mut self, id: &str) -> BindAnswer {
        let once = self.settings.credentials_once;
        let credentials = self.books.bindings.get_mut(id).and_then(|binding| {
            binding.served += 1;
            (binding.served == 1 || !once).then(|| binding.credentials.clone())
        });
        let document = BindingDocument {
            credentials,
            endpoints: self.settings.endpoints.clone(),
            metadata: self.settings.binding_metadata.clone(),
            ..BindingDocument::default()
        };
        BindAnswer { document, operation: None }
    }
}

/// Credentials that tell bindings apart, with nested values (OSB-152).
fn own_credentials(binding_id: &str) -> JsonObject {
    let credentials = json!({
        "username": format!("user-{binding_id}"),
        "password": format!("password-of-{binding_id}"),
        "host": "127.0.0.1",
        "port": 5432,
        "ssl": true,
        "nested": {"list": [1, "two", null]},
    });
    credentials.as_object().cloned().unwrap_or_default()
}
