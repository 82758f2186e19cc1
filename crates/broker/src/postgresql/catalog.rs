//! The catalogue of the PostgreSQL broker: class `postgresql` and its plans.

use dispatch_osb::types::{
    Catalog, JsonObject, OperationSchema, Plan, Schemas, Service, ServiceBindingSchemas,
    ServiceInstanceSchemas,
};
use serde_json::{Value, json};

use super::plan::{self, PLANS, SERVICE_ID, Shape};

/// The tags of the class, which the credentials repeat.
pub(super) const TAGS: &[&str] = &["postgresql", "relational", "sql"];

/// What is offered.
pub(super) fn catalog() -> Catalog {
    Catalog {
        services: vec![Service {
            id: SERVICE_ID.to_owned(),
            name: "postgresql".to_owned(),
            description: "PostgreSQL databases with TLS".to_owned(),
            bindable: true,
            plans: PLANS.iter().map(describe).collect(),
            tags: TAGS.iter().map(|tag| (*tag).to_owned()).collect(),
            metadata: Some(object(json!({
                "displayName": "PostgreSQL",
                "longDescription": "A relational database. Each instance is a database of its own, \
                    each binding a login of its own; what one binding makes, the others can use. \
                    Nobody but the instance's bindings can connect to its database.",
                "documentationUrl": "https://www.postgresql.org/docs/",
                "supportUrl": "https://www.postgresql.org/support/",
                "providerDisplayName": "Dispatch",
            }))),
            plan_updateable: false,
            instances_retrievable: true,
            bindings_retrievable: true,
            ..Service::default()
        }],
    }
}

fn describe(plan: &plan::Plan) -> Plan {
    let (description, bullets) = match plan.shape {
        Shape::Shared(limits) => (
            format!("a database on a shared server, {} connections", limits.connections),
            json!([
                "A database on a shared server",
                format!("{} connections at a time", limits.connections),
            ]),
        ),
    };
    Plan {
        id: plan.id.to_owned(),
        name: plan.name.to_owned(),
        description,
        free: Some(true),
        bindable: Some(true),
        metadata: Some(object(json!({ "displayName": plan.name, "bullets": bullets }))),
        schemas: Some(Schemas {
            service_instance: Some(ServiceInstanceSchemas {
                create: Some(no_parameters("of an instance")),
                update: Some(no_parameters("of an update")),
            }),
            service_binding: Some(ServiceBindingSchemas {
                create: Some(no_parameters("of a binding")),
            }),
        }),
        ..Plan::default()
    }
}

fn no_parameters(of: &str) -> OperationSchema {
    OperationSchema {
        parameters: Some(json!({
            "$schema": "http://json-schema.org/draft-04/schema#",
            "title": format!("Parameters {of}: there are none yet"),
            "type": "object",
            "properties": {},
            "additionalProperties": false,
        })),
    }
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// OSB-031, OSB-032, OSB-034, OSB-042
    #[test]
    fn the_catalogue_is_what_platforms_have_stored() {
        let catalog = catalog();
        let service = catalog.service("e743b442-c425-42a6-9f09-a95adca126b7").expect("its id");
        assert_eq!(service.name, "postgresql");
        let plan = service.plan("0936e800-32ac-48af-aa58-b88495df3999").expect("its id");
        assert_eq!(plan.name, "shared-small");
        assert!(plan.is_free() && plan.is_bindable(service) && !plan.is_updateable(service));
        for schema in [plan.create_schema(), plan.update_schema(), plan.bind_schema()] {
            let schema = schema.expect("a schema");
            assert_eq!(schema["$schema"], "http://json-schema.org/draft-04/schema#");
            assert_eq!(schema["additionalProperties"], false);
        }
        let ids: BTreeSet<_> = service.plans.iter().map(|plan| &plan.id).collect();
        let names: BTreeSet<_> = service.plans.iter().map(|plan| &plan.name).collect();
        assert_eq!((ids.len(), names.len()), (PLANS.len(), PLANS.len()));
    }

    #[test]
    fn a_platform_finds_nothing_wrong_with_it() {
        let document = serde_json::to_value(catalog()).expect("JSON");
        let validated = dispatch_osb::catalog::validate(&document, &|_| Ok(())).expect("valid");
        assert!(validated.warnings.is_empty(), "{:?}", validated.warnings);
    }
}
