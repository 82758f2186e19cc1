//! What the fake broker offers, unless it is told otherwise.

use serde_json::{Value, json};

use crate::types::Catalog;

/// Ids in the default catalogue.
pub mod ids {
    /// Bindable, updateable, retrievable; context updates allowed.
    pub const DATABASE: &str = "0fa4e1b0-0000-4000-8000-00000000da7a";
    /// Free, with schemas for provision, update and bind.
    pub const SMALL: &str = "0fa4e1b0-0000-4000-8000-000000005a11";
    /// Costs something; has a maintenance version.
    pub const LARGE: &str = "0fa4e1b0-0000-4000-8000-000000001a46";
    /// Its bindings can be rotated.
    pub const ROTATING: &str = "0fa4e1b0-0000-4000-8000-000000004074";
    /// Not bindable, its plan cannot be changed.
    pub const SILENT: &str = "0fa4e1b0-0000-4000-8000-0000000051e7";
    /// Neither instances nor bindings can be fetched, plans cannot be changed.
    pub const PLAIN: &str = "0fa4e1b0-0000-4000-8000-00000000b1a2";
    /// The only plan of [`PLAIN`].
    pub const ONLY: &str = "0fa4e1b0-0000-4000-8000-000000000017";
    /// An id and a name with reserved characters (OSB-011).
    pub const ODD: &str = "a b/c?d&é";
    /// The plan of [`ODD`].
    pub const ODD_PLAN: &str = "p#1%+=/..";
}

/// Three services with six plans.
pub fn catalog() -> Catalog {
    let database = json!({
        "id": ids::DATABASE,
        "name": "fake-db",
        "description": "A database that stores nothing",
        "bindable": true,
        "plan_updateable": true,
        "instances_retrievable": true,
        "bindings_retrievable": true,
        "allow_context_updates": true,
        "tags": ["fake", "db"],
        "metadata": {"displayName": "Fake database", "documentationUrl": "https://docs.example/"},
        "plans": [
            small(),
            {
                "id": ids::LARGE, "name": "large", "description": "A large one", "free": false,
                "maximum_polling_duration": 3600,
                "maintenance_info": {"version": "1.0.0", "description": "the first"},
                "metadata": {"costs": [{"amount": {"eur": 9.5}, "unit": "month"}]},
            },
            {
                "id": ids::ROTATING, "name": "rotating", "description": "With rotation",
                "binding_rotatable": true,
            },
            {
                "id": ids::SILENT, "name": "silent", "description": "Without bindings",
                "bindable": false, "plan_updateable": false,
            },
        ],
    });
    let plain = json!({
        "id": ids::PLAIN,
        "name": "fake-kv",
        "description": "Keys and values that nobody stores",
        "bindable": true,
        "plans": [{"id": ids::ONLY, "name": "only", "description": "The only one"}],
    });
    let odd = json!({
        "id": ids::ODD,
        "name": "Odd & p.mysql/ü",
        "description": "A name that has to be encoded",
        "bindable": true,
        "instances_retrievable": true,
        "bindings_retrievable": true,
        "plans": [{"id": ids::ODD_PLAN, "name": "odd plan", "description": "d"}],
    });
    let document = json!({"services": [database, plain, odd]});
    serde_json::from_value(document).expect("this catalogue is valid")
}

fn small() -> Value {
    let draft = "http://json-schema.org/draft-04/schema#";
    let size = json!({"type": "integer", "minimum": 1, "maximum": 100});
    json!({
        "id": ids::SMALL,
        "name": "small",
        "description": "A small one",
        "free": true,
        "schemas": {
            "service_instance": {
                "create": {"parameters": {
                    "$schema": draft, "type": "object", "additionalProperties": false,
                    "properties": {
                        "size": size,
                        "mode": {"enum": ["fast", "safe"], "default": "safe"},
                        "secret": {"type": "string"},
                    },
                }},
                "update": {"parameters": {
                    "$schema": draft, "type": "object", "properties": {"size": size},
                }},
            },
            "service_binding": {
                "create": {"parameters": {
                    "$schema": draft, "type": "object",
                    "properties": {"role": {"type": "string"}},
                }},
            },
        },
    })
}
