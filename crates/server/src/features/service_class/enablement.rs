//! Which classes and plans of a broker an organization has: the registration's selection, and decisions on top of it.

use std::collections::BTreeMap;

use dispatch_model::{
    Object,
    service_broker::{Selection, ServiceBroker},
    service_class::ServiceClass,
};
use dispatch_store::{ReadError, Stored};

use crate::platform::Platform;

/// For one broker.
#[derive(Debug, Clone)]
pub struct Enablement {
    selection: Selection,
    /// By the class's id in the catalogue.
    decisions: BTreeMap<String, Object<ServiceClass>>,
}

impl Enablement {
    pub async fn of_broker(
        platform: &Platform,
        broker: &Object<ServiceBroker>,
    ) -> Result<Self, ReadError> {
        let scope = platform.system.organization(broker.meta.organization);
        let stored =
            platform.store.list_referring::<ServiceClass>(&scope, broker.meta.id.uuid()).await?;
        let decisions = stored.into_iter().filter_map(|stored| match stored {
            Stored::Readable(class) => Some((class.spec.service.clone(), class)),
            Stored::Unreadable { .. } => None,
        });
        Ok(Self { selection: broker.spec.classes.clone(), decisions: decisions.collect() })
    }

    pub fn has_class(&self, service: &str, name: &str) -> bool {
        let decided = self.decisions.get(service).and_then(|class| class.spec.enabled);
        decided.unwrap_or_else(|| self.selection.has_class(name))
    }

    /// Plans can only be narrowed by the registration.
    pub fn has_plan(&self, class_name: &str, plan_name: &str) -> bool {
        self.selection.has_plan(class_name, plan_name)
    }

    /// What was decided about a class beyond its broker's registration.
    pub fn decision(&self, service: &str) -> Option<&Object<ServiceClass>> {
        self.decisions.get(service)
    }
}
