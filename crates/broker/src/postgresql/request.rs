//! What a request must be before anything is done: ids of the catalogue, and what goes with them.

use aws_lc_rs::digest::{SHA256, digest};
use dispatch_osb::broker::Failure;
use dispatch_osb::types::{JsonObject, MaintenanceVersion};
use serde_json::Value;

use super::plan::{self, Plan, SERVICE_ID};

/// The plan that a request names.
pub(super) fn plan(service_id: &str, plan_id: &str) -> Result<&'static Plan, Failure> {
    if service_id != SERVICE_ID {
        return Err(Failure::bad_request("service_id: this broker has no such service"));
    }
    plan::plan(plan_id).ok_or_else(|| Failure::bad_request("plan_id: the service has no such plan"))
}

/// Refuses the parameters of a binding, each by its name: no plan has any.
pub(super) fn no_parameters(parameters: Option<&JsonObject>) -> Result<(), Failure> {
    let mut unknown: Vec<String> =
        parameters.into_iter().flatten().map(|(key, _)| format!("parameters.{key}")).collect();
    unknown.sort();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(Failure::bad_request(format!(
            "{}: unknown; a binding has no parameters",
            unknown.join(", ")
        ))),
    }
}

/// Refuses a version of maintenance: no plan has one.
pub(super) fn no_maintenance(info: Option<&MaintenanceVersion>) -> Result<(), Failure> {
    match info.is_some_and(|info| info.version.is_some()) {
        true => Err(Failure::maintenance_info_conflict()),
        false => Ok(()),
    }
}

/// Refuses a DELETE that names another service or plan than the instance has.
pub(super) fn same_plan(
    (service_id, plan_id): (&str, &str),
    (own_service, own_plan): (&str, &str),
) -> Result<(), Failure> {
    if service_id != own_service {
        return Err(Failure::bad_request("service_id: the instance is of another service"));
    }
    if plan_id != own_plan {
        return Err(Failure::bad_request("plan_id: the instance has another plan"));
    }
    Ok(())
}

/// A digest that is equal for equal attributes, in whatever order objects write their fields.
pub(super) fn attributes(parts: &Value) -> String {
    let mut text = String::new();
    canonical(parts, &mut text);
    digest(&SHA256, text.as_bytes()).as_ref().iter().fold(String::new(), |mut hex, byte| {
        use std::fmt::Write as _;
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(object) => {
            let mut fields: Vec<_> = object.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (key, value) in fields {
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_attributes_have_equal_digests() {
        let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let one = attributes(&parse(r#"{"a": 1, "b": [{"c": null, "d": "x"}]}"#));
        assert_eq!(one, attributes(&parse(r#"{"b": [{"d": "x", "c": null}], "a": 1}"#)));
        for other in [r#"{"a": 1, "b": [{"c": null, "d": "y"}]}"#, r#"{"a": 1}"#, "[]"] {
            assert_ne!(one, attributes(&parse(other)));
        }
        assert_ne!(attributes(&json!(["a", "b"])), attributes(&json!(["a,b"])));
        assert_ne!(attributes(&json!([["a"], "b"])), attributes(&json!([["a", "b"]])));
    }

    #[test]
    fn each_unknown_parameter_is_named() {
        let parameters = json!({"storage": 2, "x": {}});
        let refused = no_parameters(parameters.as_object()).expect_err("refused");
        let text = refused.description.expect("words");
        assert!(text.starts_with("parameters.storage, parameters.x: unknown"), "{text}");
        assert_eq!(no_parameters(Some(&JsonObject::new())), Ok(()));
        assert_eq!(no_parameters(None), Ok(()));
    }
}
