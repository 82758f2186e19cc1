//! Finding what a developer means by a class and a plan (decision 20).

use std::sync::Arc;

use dispatch_model::{
    ErrorCode, Object,
    service_broker::ServiceBroker,
    service_class::{ServiceClass, class_id, plan_id},
};
use dispatch_osb::types::{Catalog, Plan, Service};
use dispatch_store::{OrgScope, Stored};
use uuid::Uuid;

use super::Enablement;
use crate::{http::ApiError, platform::Platform};

/// The member of a class's metadata in which a broker may name a plan. The specification leaves metadata to brokers.
const DEFAULT_PLAN: &str = "defaultPlan";

/// A class in the catalogue of a broker.
#[derive(Debug, Clone)]
pub struct Offering {
    pub broker: Object<ServiceBroker>,
    pub enablement: Enablement,
    catalog: Arc<Catalog>,
    index: usize,
}

/// How a class is meant: ids win over names (design §4).
#[derive(Debug, Clone, Copy)]
pub struct Which<'a> {
    pub name: Option<&'a str>,
    pub id: Option<Uuid>,
    pub broker: Option<&'a str>,
}

/// How a plan is meant. Neither: the default one, or the only one there is.
#[derive(Debug, Clone, Copy)]
pub struct PlanWish<'a> {
    pub name: Option<&'a str>,
    pub id: Option<Uuid>,
}

impl Offering {
    pub fn service(&self) -> &Service {
        self.catalog.services.get(self.index).expect("the index was found in this catalogue")
    }

    pub fn id(&self) -> Uuid {
        class_id(self.broker.meta.id, &self.service().id)
    }

    pub fn plan_id(&self, plan: &Plan) -> Uuid {
        plan_id(self.broker.meta.id, &self.service().id, &plan.id)
    }

    pub fn is_enabled(&self) -> bool {
        self.enablement.has_class(&self.service().id, &self.service().name)
    }

    /// The plans that the organization has.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        let service = self.service();
        service.plans.iter().filter(|plan| self.enablement.has_plan(&service.name, &plan.name))
    }

    /// What was decided about the class so far.
    pub fn decision(&self) -> Option<&Object<ServiceClass>> {
        self.enablement.decision(&self.service().id)
    }

    /// The plan that was set as the default, as long as the organization has it; where none was, the one that the
    /// broker names in its class's metadata.
    pub fn default_plan(&self) -> Option<&Plan> {
        let set = self.decision().and_then(|class| class.spec.default_plan.as_deref());
        if let Some(id) = set {
            return self.plans().find(|plan| plan.id == id);
        }
        let name = self.service().metadata.as_ref()?.get(DEFAULT_PLAN)?.as_str()?;
        self.plans().find(|plan| plan.name == name)
    }

    /// Whether a default was set that the organization does not have any more.
    pub fn has_lost_default(&self) -> bool {
        let was_set = self.decision().is_some_and(|class| class.spec.default_plan.is_some());
        was_set && self.default_plan().is_none()
    }

    /// The catalogue's id of a plan that is to be the default. Empty: none is.
    pub fn default_plan_of(&self, name: &str) -> Result<Option<String>, ApiError> {
        if name.is_empty() {
            return Ok(None);
        }
        let plan = self.plans().find(|plan| plan.name == name).ok_or_else(|| {
            let (class, names) = (&self.service().name, self.plan_names());
            let message =
                format!("defaultPlan in body: {class} has no plan {name}; there is {names}");
            ApiError::bad_request(message)
        })?;
        Ok(Some(plan.id.clone()))
    }

    /// The plan that is meant.
    pub fn plan(&self, wish: PlanWish<'_>) -> Result<&Plan, ApiError> {
        let class = &self.service().name;
        match wish {
            PlanWish { name: None, id: None } => self.unnamed_plan(),
            PlanWish { name, id: Some(id) } => {
                let plan = self.plans().find(|plan| self.plan_id(plan) == id).ok_or_else(|| {
                    ApiError::bad_request(format!("Service plan {id} does not exist in {class}"))
                })?;
                match name {
                    Some(name) if name != plan.name => Err(ApiError::bad_request(format!(
                        "servicePlan {name} and planID {id} disagree: that is {}",
                        plan.name
                    ))),
                    _ => Ok(plan),
                }
            }
            PlanWish { name: Some(name), id: None } => {
                self.plans().find(|plan| plan.name == name).ok_or_else(|| {
                    ApiError::bad_request(format!(
                        "Service plan {name} does not exist in service class {class}; there is {}",
                        self.plan_names()
                    ))
                })
            }
        }
    }

    fn unnamed_plan(&self) -> Result<&Plan, ApiError> {
        if let Some(default) = self.default_plan() {
            return Ok(default);
        }
        let class = &self.service().name;
        let mut plans = self.plans();
        match (plans.next(), plans.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(ApiError::bad_request(format!(
                "Service class {class} has no plan that may be used"
            ))),
            (Some(_), Some(_)) => {
                let lost = match self.has_lost_default() {
                    true => "; the plan set as its default is not offered any more",
                    false => "",
                };
                let names = self.plan_names();
                let message = format!("servicePlan in body is required: {class} has {names}{lost}");
                Err(ApiError::new(ErrorCode::Required, message))
            }
        }
    }

    fn plan_names(&self) -> String {
        self.plans().map(|plan| plan.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// Every class of every broker of the organization, enabled or not, in the order of brokers' names.
pub async fn all(platform: &Platform, scope: &OrgScope) -> Result<Vec<Offering>, ApiError> {
    let mut offerings = Vec::new();
    for stored in platform.store.list::<ServiceBroker>(scope).await? {
        let Stored::Readable(broker) = stored else { continue };
        if broker.meta.deleting.is_some() {
            continue;
        }
        let Some(catalog) = platform.brokers.catalog(platform, &broker).await? else { continue };
        let enablement = Enablement::of_broker(platform, &broker).await?;
        offerings.extend((0..catalog.services.len()).map(|index| Offering {
            broker: broker.clone(),
            enablement: enablement.clone(),
            catalog: Arc::clone(&catalog),
            index,
        }));
    }
    Ok(offerings)
}

/// The one class that is meant; `None` if there is none. Two of one name: 409 with the brokers' names.
pub async fn find_class(
    platform: &Platform,
    scope: &OrgScope,
    which: Which<'_>,
    include_disabled: bool,
) -> Result<Option<Offering>, ApiError> {
    let fits = |offering: &Offering| {
        which.broker.is_none_or(|broker| offering.broker.meta.name.as_str() == broker)
            && (include_disabled || offering.is_enabled())
            && match (which.id, which.name) {
                (Some(id), _) => offering.id() == id,
                (None, Some(name)) => offering.service().name == name,
                (None, None) => false,
            }
    };
    let mut found: Vec<Offering> =
        all(platform, scope).await?.into_iter().filter(|offering| fits(offering)).collect();
    if found.len() > 1 {
        let brokers: Vec<String> =
            found.iter().map(|offering| offering.broker.meta.name.to_string()).collect();
        return Err(ApiError::conflict(format!(
            "service class {} is offered by several brokers ({}); say which one with broker",
            which.name.unwrap_or_default(),
            brokers.join(", ")
        )));
    }
    let Some(offering) = found.pop() else { return Ok(None) };
    if let (Some(id), Some(name)) = (which.id, which.name)
        && name != offering.service().name
    {
        return Err(ApiError::bad_request(format!(
            "serviceClass {name} and serviceClassID {id} disagree: that is {}",
            offering.service().name
        )));
    }
    Ok(Some(offering))
}
