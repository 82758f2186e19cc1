//! The API as an OpenAPI 3.1 document: paths from the route table, schemas from the wire types.

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::{
    Route,
    api::{Api, ApiInput},
    base_image::{BaseImage, BaseImageInput},
    error::ErrorBody,
    function::{Function, FunctionInput},
    image::{Image, ImageInput},
    orphan::Orphan,
    routes,
    run::{Run, RunInput},
    secret::{Secret, SecretInput},
    service_binding::{ServiceBinding, ServiceBindingInput},
    service_broker::{ServiceBroker, ServiceBrokerInput},
    service_class::{ServiceClass, ServiceClassInput},
    service_instance::{ServiceInstance, ServiceInstanceInput},
    version::{Health, Message, Version},
};

/// Every wire type that the route table names; what they hold comes with them.
#[derive(OpenApi)]
#[openapi(components(schemas(
    Api,
    ApiInput,
    BaseImage,
    BaseImageInput,
    ErrorBody,
    Function,
    FunctionInput,
    Health,
    Image,
    ImageInput,
    Message,
    Orphan,
    Run,
    RunInput,
    Secret,
    SecretInput,
    ServiceBinding,
    ServiceBindingInput,
    ServiceBroker,
    ServiceBrokerInput,
    ServiceClass,
    ServiceClassInput,
    ServiceInstance,
    ServiceInstanceInput,
    Version,
)))]
struct Schemas;

/// The document, as it is served.
#[must_use]
pub fn document(version: &str) -> Value {
    let mut components = serde_json::to_value(Schemas::openapi().components).unwrap_or_default();
    if let Some(components) = components.as_object_mut() {
        components.insert("securitySchemes".to_owned(), security_schemes());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Dispatch",
            "description": "Functions, and the services they need.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "version": version,
        },
        "servers": [{"url": "/"}],
        "security": [{"cookie": []}, {"bearer": []}],
        "paths": paths(),
        "components": components,
    })
}

fn security_schemes() -> Value {
    json!({
        "cookie": {"type": "apiKey", "in": "header", "name": "Cookie"},
        "bearer": {"type": "http", "scheme": "bearer"},
    })
}

fn paths() -> Value {
    let mut paths = Map::new();
    for route in routes::all() {
        let place = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(place) = place.as_object_mut() {
            place.insert(route.method.as_str().to_lowercase(), operation(route));
        }
    }
    Value::Object(paths)
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "tags": [route.resource],
        "parameters": parameters(route),
        "responses": responses(route),
    });
    let Some(members) = operation.as_object_mut() else { return operation };
    if !route.request.is_empty() {
        let body = json!({"required": true, "content": {"application/json": {"schema": schema(route.request)}}});
        members.insert("requestBody".to_owned(), body);
    }
    if route.action == crate::Action::Public {
        members.insert("security".to_owned(), json!([]));
    }
    operation
}

/// `CreateSecret` is `createSecret`.
fn operation_id(route: &Route) -> String {
    let name = format!("{:?}", route.operation);
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

fn parameters(route: &Route) -> Value {
    let names = route.path.split(['{', '}']).skip(1).step_by(2);
    let in_path = names.map(|name| {
        json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
    });
    let in_query = route.query.iter().map(|name| {
        json!({"name": name, "in": "query", "required": false, "description": about(name), "schema": {"type": "string"}})
    });
    let organization = json!({
        "name": "X-Dispatch-Org", "in": "header", "required": true,
        "description": "The organization's name.", "schema": {"type": "string", "minLength": 1},
    });
    let organization = (route.action != crate::Action::Public).then_some(organization);
    organization.into_iter().chain(in_path).chain(in_query).collect()
}

fn about(query: &str) -> &'static str {
    match query {
        "tags" => "KEY=VALUE that objects must have, KEY=none for none",
        "wait" => "Seconds, 0 to 300, to hold the answer until the object has settled",
        "seen" => "What was seen last: the answer comes at the next change, too",
        "broker" => "The name of the broker that is meant",
        "available" => "true: what is not enabled",
        "cascade" => "true: what it holds goes first",
        "purge" => "true: it is forgotten without a word to the broker",
        "ifUnused" => "true: it is refused while something uses it",
        "functionName" => "The function's name",
        "since" => "Unix seconds: only what is newer",
        _ => "",
    }
}

fn responses(route: &Route) -> Value {
    let mut success = json!({"description": "Done"});
    if let Some(members) = success.as_object_mut().filter(|_| !route.response.is_empty()) {
        let content = json!({"application/json": {"schema": schema(route.response)}});
        members.insert("content".to_owned(), content);
    }
    let failure = json!({
        "description": "Refused, or failed: what is wrong",
        "content": {"application/json": {"schema": schema("ErrorBody")}},
    });
    json!({route.success.to_string(): success, "default": failure})
}

/// `Secret`, or `Secret[]`.
fn schema(name: &str) -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    match name.strip_suffix("[]") {
        Some(item) => json!({"type": "array", "items": reference(item)}),
        None => reference(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` in it.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found.push(reference.clone());
                }
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_schema_that_is_referred_to_is_there() {
        let document = document("1");
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100, "{}", found.len());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_query_parameter_is_explained() {
        for name in routes::all().flat_map(|route| route.query) {
            assert!(!about(name).is_empty(), "{name}");
        }
    }
}
