//! The catalogue of the PostgreSQL broker: class `postgresql` and its plans.

use std::time::Duration;

use dispatch_osb::types::{
    Catalog, JsonObject, OperationSchema, Plan, Schemas, Service, ServiceBindingSchemas,
    ServiceInstanceSchemas,
};
use serde_json::{Value, json};

use super::parameters::{Offer, schema};
use super::plan::{self, Place, SERVICE_ID};

/// After which a platform need not wait any more for a server of one's own. Making one takes a
/// second or two; each of its steps has a limit of its own, and together they are below this.
const LONGEST: Duration = Duration::from_secs(600);

/// The tags of the class, which the credentials repeat.
pub(super) const TAGS: &[&str] = &["postgresql", "relational", "sql"];

/// What is offered.
pub(super) fn catalog(offer: &Offer) -> Catalog {
    Catalog {
        services: vec![Service {
            id: SERVICE_ID.to_owned(),
            name: "postgresql".to_owned(),
            description: "PostgreSQL databases with TLS".to_owned(),
            bindable: true,
            plans: offer.plans().map(|plan| describe(plan, offer)).collect(),
            tags: TAGS.iter().map(|tag| (*tag).to_owned()).collect(),
            metadata: Some(object(json!({
                "displayName": "PostgreSQL",
                "longDescription": "A relational database. Each instance is a database of its own, \
                    each binding a login of its own; what one binding makes, the others can use. \
                    Nobody but the instance's bindings can connect to its database.",
                "documentationUrl": "https://www.postgresql.org/docs/",
                "supportUrl": "https://www.postgresql.org/support/",
                "providerDisplayName": "Dispatch",
                "defaultPlan": plan::DEFAULT,
            }))),
            plan_updateable: false,
            instances_retrievable: true,
            bindings_retrievable: true,
            ..Service::default()
        }],
    }
}

fn describe(plan: &plan::Plan, offer: &Offer) -> Plan {
    let connections = plan.connections;
    let (description, bullet) = match plan.place {
        Place::Shared => (
            format!("a database on a shared server, {connections} connections"),
            "A database on a shared server",
        ),
        Place::Dedicated => (
            format!("a server of your own, {connections} connections"),
            "A PostgreSQL server of your own, watched and started again when it dies",
        ),
    };
    let bullets = json!([bullet, format!("{connections} connections at a time")]);
    let schema = |of| Some(OperationSchema { parameters: Some(schema(plan, offer, of)) });
    Plan {
        id: plan.id.to_owned(),
        name: plan.name.to_owned(),
        description,
        free: Some(true),
        bindable: Some(true),
        // To another shared plan. Parameters can be changed in any case (OSB-039).
        plan_updateable: Some(plan.place == Place::Shared),
        maximum_polling_duration: (plan.place == Place::Dedicated).then_some(LONGEST.as_secs()),
        metadata: Some(object(json!({ "displayName": plan.name, "bullets": bullets }))),
        schemas: Some(Schemas {
            service_instance: Some(ServiceInstanceSchemas {
                create: schema("Parameters of an instance"),
                update: schema("Parameters of an update"),
            }),
            service_binding: Some(ServiceBindingSchemas { create: Some(no_parameters()) }),
        }),
        ..Plan::default()
    }
}

fn no_parameters() -> OperationSchema {
    OperationSchema {
        parameters: Some(json!({
            "$schema": "http://json-schema.org/draft-04/schema#",
            "title": "Parameters of a binding: there are none",
            "type": "object",
            "properties": {},
            "additionalProperties": false,
        })),
    }
}

pub(super) fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::PLANS;
    use super::*;

    fn offers() -> [Offer; 3] {
        let names = || vec!["citext".to_owned(), "hstore".to_owned()];
        [
            Offer { shared: names(), dedicated: Some(names()) },
            Offer { shared: names(), dedicated: None },
            Offer { shared: Vec::new(), dedicated: Some(Vec::new()) },
        ]
    }

    /// OSB-031, OSB-032, OSB-034, OSB-039, OSB-042
    #[test]
    fn the_catalogue_is_what_platforms_have_stored() {
        let catalog = catalog(&offers()[0]);
        let service = catalog.service("e743b442-c425-42a6-9f09-a95adca126b7").expect("its id");
        assert_eq!(service.name, "postgresql");
        for (id, name, updateable, parameters) in [
            ("0936e800-32ac-48af-aa58-b88495df3999", "shared-small", true, vec!["extensions"]),
            ("4998b609-b1f5-4b52-bf5e-f5a47dfd1eef", "shared-large", true, vec!["extensions"]),
            (
                "d87527b2-771c-43c9-80ce-b1b816548b98",
                "dedicated",
                false,
                vec!["extensions", "storage"],
            ),
        ] {
            let plan = service.plan(id).expect("its id");
            assert_eq!(plan.name, name);
            assert!(plan.is_free() && plan.is_bindable(service));
            assert_eq!(plan.is_updateable(service), updateable, "{name}");
            for schema in [plan.create_schema(), plan.update_schema(), plan.bind_schema()] {
                let schema = schema.expect("a schema");
                assert_eq!(schema["$schema"], "http://json-schema.org/draft-04/schema#");
                assert_eq!(schema["additionalProperties"], false);
            }
            let properties = plan.create_schema().expect("a schema")["properties"].as_object();
            assert_eq!(properties.expect("an object").keys().collect::<Vec<_>>(), parameters);
        }
        assert_eq!(service.plans.len(), PLANS.len());
        // Dispatch's own server takes it where nobody names a plan.
        let named = service.metadata.as_ref().and_then(|known| known.get("defaultPlan"));
        assert_eq!(named, Some(&json!("shared-small")));
    }

    #[test]
    fn a_platform_finds_nothing_wrong_with_it() {
        for offer in offers() {
            let document = serde_json::to_value(catalog(&offer)).expect("JSON");
            let validated = dispatch_osb::catalog::validate(&document, &|_| Ok(())).expect("valid");
            assert!(validated.warnings.is_empty(), "{:?}", validated.warnings);
        }
    }

    #[test]
    fn what_cannot_be_made_here_is_not_offered() {
        let names = |offer: &Offer| {
            let plans = catalog(offer).services.remove(0).plans;
            plans.into_iter().map(|plan| plan.name).collect::<Vec<_>>()
        };
        let [_, no_servers, no_extensions] = offers();
        assert_eq!(names(&no_servers), ["shared-small", "shared-large"]);
        assert_eq!(names(&no_extensions).len(), 3);
        let plan = &catalog(&no_extensions).services[0].plans[0];
        assert_eq!(plan.create_schema().expect("a schema")["properties"], json!({}));
    }
}
