//! What a broker looks like on the wire.

use dispatch_api::service_broker::{
    Authentication as WireAuthentication, BrokerClass, CatalogState, Condition as WireCondition,
    ServiceBroker as Wire, Tls as WireTls,
};
use dispatch_model::{
    Kind, Object, Phase,
    service_broker::{Authentication, ServiceBroker, phase},
    service_class::class_id,
    status::Condition,
};
use dispatch_osb::types::Catalog;
use dispatch_store::Stored;

use crate::{features::service_class::Enablement, http::ApiError, platform::Platform};

/// A stored broker with its classes.
pub(super) async fn to_wire(
    platform: &Platform,
    broker: &Object<ServiceBroker>,
) -> Result<Wire, ApiError> {
    let catalog = platform.brokers.catalog(platform, broker).await?;
    let enablement = Enablement::of_broker(platform, broker).await?;
    let (status, reason) = phase(broker);
    let spec = &broker.spec;
    Ok(Wire {
        id: broker.meta.id.uuid(),
        kind: Kind::ServiceBroker.as_str().to_owned(),
        name: broker.meta.name.to_string(),
        url: spec.url.clone(),
        builtin: spec.builtin.map(|kind| kind.as_str().to_owned()),
        parameters: spec.parameters.clone(),
        authentication: authentication(&spec.authentication),
        tls: WireTls { ca_cert: spec.tls.ca_cert.clone(), skip_verify: spec.tls.skip_verify },
        profile: spec.profile.as_str().to_owned(),
        service_classes: catalog
            .map(|catalog| classes(broker, &catalog, &enablement))
            .unwrap_or_default(),
        catalog: broker.status.catalog.as_ref().map(|catalog| CatalogState {
            fetched_time: catalog.fetched.as_second(),
            api_version: catalog.api_version.clone(),
            warnings: catalog.warnings.clone(),
        }),
        status: status.as_str().to_owned(),
        reason: reason.map(|reason| vec![reason]),
        conditions: conditions(&broker.status.conditions),
        created_time: broker.meta.created.as_second(),
        tags: dispatch_api::tag::to_wire(&broker.meta.tags),
    })
}

/// Also for one whose stored form cannot be read: it is an error on that object alone (decision 6).
pub(super) async fn stored_to_wire(
    platform: &Platform,
    stored: Stored<ServiceBroker>,
) -> Result<Wire, ApiError> {
    match stored {
        Stored::Readable(broker) => to_wire(platform, &broker).await,
        Stored::Unreadable { meta, why } => Ok(Wire {
            id: meta.id.uuid(),
            kind: Kind::ServiceBroker.as_str().to_owned(),
            name: meta.name.to_string(),
            url: String::new(),
            builtin: None,
            parameters: None,
            authentication: authentication(&Authentication::None),
            tls: WireTls::default(),
            profile: String::new(),
            service_classes: std::collections::BTreeMap::new(),
            catalog: None,
            status: Phase::Error.as_str().to_owned(),
            reason: Some(vec![why.to_string()]),
            conditions: Vec::new(),
            created_time: meta.created.as_second(),
            tags: dispatch_api::tag::to_wire(&meta.tags),
        }),
    }
}

/// Conditions of any kind of object.
pub fn conditions(conditions: &[Condition]) -> Vec<WireCondition> {
    conditions
        .iter()
        .map(|condition| WireCondition {
            kind: format!("{:?}", condition.kind),
            message: condition.message.clone(),
            since: condition.since.as_second(),
        })
        .collect()
}

fn classes(
    broker: &Object<ServiceBroker>,
    catalog: &Catalog,
    enablement: &Enablement,
) -> std::collections::BTreeMap<String, BrokerClass> {
    let class = |service: &dispatch_osb::types::Service| {
        let plans = service.plans.iter().map(|plan| plan.name.clone());
        let class = BrokerClass {
            id: class_id(broker.meta.id, &service.id),
            enabled: enablement.has_class(&service.id, &service.name),
            plans: plans.filter(|plan| enablement.has_plan(&service.name, plan)).collect(),
        };
        (service.name.clone(), class)
    };
    catalog.services.iter().map(class).collect()
}

fn authentication(authentication: &Authentication) -> WireAuthentication {
    let kind = match authentication {
        Authentication::None => "none",
        Authentication::Basic { .. } => "basic",
        Authentication::Bearer { .. } => "bearer",
    };
    WireAuthentication {
        kind: kind.to_owned(),
        secret: authentication.secret().map(ToString::to_string),
    }
}
