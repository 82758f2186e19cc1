//! What a class looks like on the wire.

use dispatch_api::service_class::{PlanSchema, ServiceClass as Wire, ServicePlan};
use dispatch_model::{Kind, Phase};
use dispatch_osb::types::Plan;
use serde_json::{Value, json};

use super::Offering;

pub(super) fn to_wire(offering: &Offering) -> Wire {
    let (service, broker) = (offering.service(), &offering.broker);
    let default_plan = offering.default_plan().map(|plan| plan.name.clone());
    Wire {
        id: offering.id(),
        kind: Kind::ServiceClass.as_str().to_owned(),
        name: service.name.clone(),
        broker: broker.meta.name.to_string(),
        broker_id: broker.meta.id.uuid(),
        bindable: service.bindable,
        description: service.description.clone(),
        enabled: offering.is_enabled(),
        metadata: service.metadata.clone().map(Value::Object),
        plans: offering.plans().map(|plan| self::plan(offering, plan)).collect(),
        default_plan,
        status: Phase::Ready.as_str().to_owned(),
        reason: offering
            .has_lost_default()
            .then(|| vec!["the plan set as its default is not offered any more".into()]),
        created_time: broker.meta.created.as_second(),
        tags: None,
    }
}

fn plan(offering: &Offering, plan: &Plan) -> ServicePlan {
    let schema = |schema: Option<&Value>| schema.cloned().unwrap_or_else(|| json!({}));
    ServicePlan {
        id: offering.plan_id(plan),
        kind: "ServicePlan".to_owned(),
        name: plan.name.clone(),
        description: plan.description.clone(),
        free: plan.is_free(),
        bindable: plan.is_bindable(offering.service()),
        metadata: plan.metadata.clone().map(Value::Object),
        schema: PlanSchema {
            create: schema(plan.create_schema()),
            update: schema(plan.update_schema()),
            bind: schema(plan.bind_schema()),
        },
    }
}
