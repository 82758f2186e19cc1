//! A plan of a service (OSB-032, OSB-038 … OSB-046).

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::report::{Place, Report};
use super::service::{boolean, description, object, text};
use super::{SchemaCheck, schema, semver, unique};
use crate::json::kind;

/// Checks one plan and returns it without what cannot be used.
pub(super) fn check(
    index: usize,
    value: &Value,
    service: &Place,
    usable: SchemaCheck<'_>,
    names: &mut HashMap<String, String>,
    ids: &mut HashMap<String, String>,
    report: &mut Report,
) -> Option<Value> {
    let name = value.get("name").and_then(Value::as_str);
    let place = service.entry("plans", index, "plan", name);
    let Value::Object(given) = value else {
        report.fault(&place, format!("is {}, not an object", kind(value)));
        return None;
    };
    let mut plan = given.clone();
    unique(ids, text(&plan, "id", &place, report), &place.field("id"), report);
    unique(names, text(&plan, "name", &place, report), &place.field("name"), report);
    description(&plan, &place, report);
    for flag in ["free", "bindable", "plan_updateable", "binding_rotatable"] {
        boolean(&plan, flag, &place, report);
    }
    object(&mut plan, "metadata", &place, report);
    maximum_polling_duration(&mut plan, &place, report);
    maintenance_info(&mut plan, &place, report);
    schemas(&mut plan, &place, usable, report);
    Some(Value::Object(plan))
}

/// OSB-045: whole seconds, at least one.
fn maximum_polling_duration(plan: &mut Map<String, Value>, place: &Place, report: &mut Report) {
    let name = "maximum_polling_duration";
    let Some(value) = plan.get(name).filter(|value| !value.is_null()) else { return };
    if value.as_u64().is_none_or(|seconds| seconds == 0) {
        let message = "is not a positive whole number of seconds; it is ignored";
        report.warn(&place.field(name), message);
        plan.remove(name);
    }
}

/// OSB-044: an unusable one must not break the catalogue.
fn maintenance_info(plan: &mut Map<String, Value>, place: &Place, report: &mut Report) {
    let name = "maintenance_info";
    let Some(value) = plan.get(name).filter(|value| !value.is_null()) else { return };
    let field = place.field(name);
    let message = match value.get("version").and_then(Value::as_str) {
        None => "has no version; it is ignored",
        Some(version) if !semver::is_version(version) => {
            "has a version that is not a semantic version 2.0; it is ignored"
        }
        Some(_)
            if !matches!(value.get("description"), None | Some(Value::Null | Value::String(_))) =>
        {
            "has a description that is not a string; it is ignored"
        }
        Some(_) => return,
    };
    report.warn(&field, message);
    plan.remove(name);
}

/// OSB-042, OSB-043: a plan with an unusable schema goes without validation.
fn schemas(
    plan: &mut Map<String, Value>,
    place: &Place,
    usable: SchemaCheck<'_>,
    report: &mut Report,
) {
    object(plan, "schemas", place, report);
    let Some(Value::Object(schemas)) = plan.get_mut("schemas") else { return };
    let place = place.field("schemas");
    for (resource, operations) in
        [("service_instance", ["create", "update"].as_slice()), ("service_binding", &["create"])]
    {
        object(schemas, resource, &place, report);
        let Some(Value::Object(resource_schemas)) = schemas.get_mut(resource) else { continue };
        let place = place.field(resource);
        for operation in operations {
            object(resource_schemas, operation, &place, report);
            let Some(Value::Object(holder)) = resource_schemas.get_mut(*operation) else {
                continue;
            };
            let place = place.field(operation).field("parameters");
            let Some(schema) = holder.get("parameters").filter(|value| !value.is_null()) else {
                continue;
            };
            match schema::check(schema, usable) {
                Ok(None) => {}
                Ok(Some(remark)) => report.warn(&place, remark),
                Err(reason) => {
                    let message = format!("{reason}; parameters are sent without a check");
                    report.warn(&place, message);
                    holder.remove("parameters");
                }
            }
        }
    }
}
