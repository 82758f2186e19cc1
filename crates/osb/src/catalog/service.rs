//! A service of the catalogue (OSB-031 … OSB-041, OSB-046 … OSB-048).

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::report::{Place, Report};
use super::{SchemaCheck, Seen, plan, unique};
use crate::json::kind;
use crate::types::Service;

/// The longest id or name, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

const PERMISSIONS: [&str; 3] = ["syslog_drain", "route_forwarding", "volume_mount"];

/// Checks one service; what it returns is whole only if the report has no faults.
pub(super) fn check(
    index: usize,
    value: &Value,
    usable: SchemaCheck<'_>,
    seen: &mut Seen,
    report: &mut Report,
) -> Option<Service> {
    let name = value.get("name").and_then(Value::as_str);
    let place = Place::root().entry("services", index, "service", name);
    let Value::Object(given) = value else {
        report.fault(&place, format!("is {}, not an object", kind(value)));
        return None;
    };
    let mut service = given.clone();
    service.remove("dashboard_client");
    let id = text(&service, "id", &place, report);
    unique(&mut seen.service_ids, id, &place.field("id"), report);
    let name = text(&service, "name", &place, report);
    unique(&mut seen.service_names, name, &place.field("name"), report);
    description(&service, &place, report);
    if let None | Some(Value::Null) = service.get("bindable") {
        report.fault(&place.field("bindable"), "is missing");
    }
    for flag in [
        "bindable",
        "plan_updateable",
        "instances_retrievable",
        "bindings_retrievable",
        "allow_context_updates",
    ] {
        boolean(&service, flag, &place, report);
    }
    requires(&mut service, &place, report);
    tags(&mut service, &place, report);
    object(&mut service, "metadata", &place, report);
    let plans = plans(&service, &place, usable, seen, report);
    service.insert("plans".to_owned(), Value::Array(plans));
    let read = serde_json::from_value(Value::Object(service));
    // All that can be wrong has been reported above; should that ever be untrue, this says so.
    if read.is_err() && !report.has_faults() {
        report.fault(&place, "cannot be read");
    }
    read.ok()
}

fn plans(
    service: &Map<String, Value>,
    place: &Place,
    usable: SchemaCheck<'_>,
    seen: &mut Seen,
    report: &mut Report,
) -> Vec<Value> {
    let field = place.field("plans");
    let list = match service.get("plans") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(Value::Array(_)) => {
            report.fault(&field, "is empty: a service needs at least one plan");
            return Vec::new();
        }
        None | Some(Value::Null) => {
            report.fault(&field, "is missing");
            return Vec::new();
        }
        Some(other) => {
            report.fault(&field, format!("is {}, not an array", kind(other)));
            return Vec::new();
        }
    };
    let mut names = HashMap::new();
    let check = |(index, value): (usize, &Value)| {
        plan::check(index, value, place, usable, &mut names, &mut seen.plan_ids, report)
    };
    list.iter().enumerate().filter_map(check).collect()
}

/// A required text: there, not empty, not too long.
pub(super) fn text<'a>(
    object: &'a Map<String, Value>,
    name: &str,
    place: &Place,
    report: &mut Report,
) -> Option<&'a str> {
    match object.get(name) {
        None | Some(Value::Null) => report.fault(&place.field(name), "is missing"),
        Some(Value::String(text)) if text.is_empty() => {
            report.fault(&place.field(name), "is empty");
        }
        Some(Value::String(text)) if text.len() > MAX_NAME_BYTES => {
            let message = format!("is longer than {MAX_NAME_BYTES} bytes");
            report.fault(&place.field(name), message);
        }
        Some(Value::String(text)) => return Some(text),
        Some(other) => {
            report.fault(&place.field(name), format!("is {}, not a string", kind(other)));
        }
    }
    None
}

/// A required text of any length (OSB-049).
pub(super) fn description(object: &Map<String, Value>, place: &Place, report: &mut Report) {
    let field = place.field("description");
    match object.get("description") {
        Some(Value::String(text)) if !text.is_empty() => {}
        Some(Value::String(_)) => report.fault(&field, "is empty"),
        None | Some(Value::Null) => report.fault(&field, "is missing"),
        Some(other) => report.fault(&field, format!("is {}, not a string", kind(other))),
    }
}

/// A flag that may be absent; a wrong one is a fault, because the platform acts on it.
pub(super) fn boolean(object: &Map<String, Value>, name: &str, place: &Place, report: &mut Report) {
    match object.get(name) {
        None | Some(Value::Null | Value::Bool(_)) => {}
        Some(other) => {
            report.fault(&place.field(name), format!("is {}, not a boolean", kind(other)));
        }
    }
}

/// An object that may be absent; a wrong one is left out.
pub(super) fn object(
    object: &mut Map<String, Value>,
    name: &str,
    place: &Place,
    report: &mut Report,
) {
    match object.get(name) {
        None | Some(Value::Null | Value::Object(_)) => {}
        Some(other) => {
            let message = format!("is {}, not an object; it is ignored", kind(other));
            report.warn(&place.field(name), message);
            object.remove(name);
        }
    }
}

/// OSB-037: an unknown permission is kept and pointed out.
fn requires(service: &mut Map<String, Value>, place: &Place, report: &mut Report) {
    let field = place.field("requires");
    match service.get("requires") {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
            let unknown = |value: &&Value| !PERMISSIONS.iter().any(|known| *value == known);
            for _ in list.iter().filter(unknown) {
                report.warn(&field, "names a permission that is not known");
            }
        }
        Some(_) => report.fault(&field, "is not an array of strings"),
    }
}

/// OSB-048
fn tags(service: &mut Map<String, Value>, place: &Place, report: &mut Report) {
    match service.get("tags") {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {}
        Some(_) => {
            report.warn(&place.field("tags"), "is not an array of strings; it is ignored");
            service.remove("tags");
        }
    }
}
