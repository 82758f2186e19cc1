//! Whether an object is what a document wishes. Objects show more than was wished, and some things in another form.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::documents::{Document, Kind};

/// Members in which the object is not as the document says; none when an update would change nothing.
pub fn differences(document: &Document, object: &Value) -> Vec<String> {
    if object.get("status").is_some_and(|status| status == "DELETING") {
        return vec!["status (it is being deleted)".to_owned()];
    }
    let spec = document.kind.spec();
    let given = document.body.as_object().into_iter().flatten();
    let given =
        given.filter(|(member, wish)| !PASSED_OVER.contains(&member.as_str()) && !wish.is_null());
    let given: Map<String, Value> =
        given.map(|(member, wish)| (member.clone(), wish.clone())).collect();
    let absent = spec.replaced.iter().filter(|member| !given.contains_key(**member));
    let absent = absent.map(|member| ((*member).to_owned(), Value::Null));
    let all: Vec<(String, Value)> = absent.chain(given.clone()).collect();
    let differs = |(member, wish): &(String, Value)| !is_same(document.kind, member, wish, object);
    let mut members: Vec<String> =
        all.into_iter().filter(differs).map(|(member, _)| member).collect();
    members.sort();
    members
}

/// Which object it is, and where a function's source came from.
const PASSED_OVER: &[&str] = &["name", "kind", "sourcePath"];
/// Objects show more in these than a document can say.
const RICHER: &[&str] = &["authentication", "tls"];

fn is_same(kind: Kind, member: &str, wish: &Value, object: &Value) -> bool {
    let found = object.get(member).unwrap_or(&Value::Null);
    match (kind, member) {
        (Kind::Function, "source") => {
            let digest = object.get("sourceDigest").and_then(Value::as_str);
            wish.as_str().is_some_and(|source| digest_of(source).as_deref() == digest)
        }
        (Kind::Api, "uris") => is_served_at(&lean(wish), &lean(found)),
        (Kind::ServiceBroker, "url") => {
            text(wish).trim_end_matches('/') == text(found).trim_end_matches('/')
        }
        (Kind::ServiceBroker, "serviceClasses") => has_classes(wish, found),
        // An image is built, not fetched.
        (Kind::Image, "dockerUrl") => true,
        // Those that its broker gives to every instance are there as well.
        (Kind::ServiceInstance, "parameters") => contains(found, wish),
        (Kind::ServiceInstance, "binding") => contains(found, &without_secret(wish)),
        (_, member) if RICHER.contains(&member) => contains(found, wish),
        _ => lean(wish) == lean(found),
    }
}

/// The binding of an instance without what is accepted and not used.
fn without_secret(binding: &Value) -> Value {
    let mut binding = binding.clone();
    if let Some(members) = binding.as_object_mut() {
        members.remove("bindingSecret");
    }
    binding
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// SHA-256 of what the base64 text stands for, in hex.
fn digest_of(source: &str) -> Option<String> {
    let bytes = STANDARD.decode(source).ok()?;
    Some(digest(&SHA256, &bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The organization may be in front of what was wished.
fn is_served_at(wish: &Value, found: &Value) -> bool {
    let paths = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|path| text(path).to_owned()).collect()
    };
    let (wish, found) = (paths(wish), paths(found));
    let is_same = |(wish, found): (&String, &String)| {
        let prefix = found.strip_suffix(wish.trim_end_matches('/'));
        wish == found || prefix.is_some_and(|prefix| prefix.rfind('/') == Some(0))
    };
    wish.len() == found.len() && wish.iter().zip(&found).all(is_same)
}

/// The classes that are enabled are those of the list or map, with the plans that it names.
fn has_classes(wish: &Value, found: &Value) -> bool {
    let enabled = found
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, class)| class.get("enabled").and_then(Value::as_bool).unwrap_or_default());
    let enabled: Map<String, Value> =
        enabled.map(|(name, class)| (name.clone(), class.clone())).collect();
    match wish {
        Value::Array(names) => {
            names.len() == enabled.len()
                && names.iter().all(|name| enabled.contains_key(text(name)))
        }
        Value::Object(classes) => {
            let has = |(name, class): (&String, &Value)| {
                enabled.get(name).is_some_and(|found| contains(found, class))
            };
            classes.len() == enabled.len() && classes.iter().all(has)
        }
        _ => false,
    }
}

/// Whether an object says everything that was wished.
fn contains(object: &Value, wish: &Value) -> bool {
    match (object, wish) {
        (_, Value::Null) => true,
        (Value::Object(object), Value::Object(wish)) => {
            wish.iter().all(|(key, wish)| contains(object.get(key).unwrap_or(&Value::Null), wish))
        }
        _ => object == wish,
    }
}

/// Without what means nothing: the server shows an empty list as `null`, and leaves out what is false.
fn lean(value: &Value) -> Value {
    match members(value) {
        Value::Bool(false) => Value::Null,
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Number(number) if number.as_i64() == Some(0) => Value::Null,
        other => other,
    }
}

/// Without empty members of objects; values inside, such as a parameter that is 0, stay.
fn members(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let members = map.iter().map(|(key, value)| (key.clone(), members(value)));
            let members: Map<String, Value> =
                members.filter(|(_, value)| !value.is_null()).collect();
            if members.is_empty() { Value::Null } else { Value::Object(members) }
        }
        Value::Array(list) if list.is_empty() => Value::Null,
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: Kind, body: Value, object: Value, expect: &[&str]) {
        let document = Document { kind, name: "x".to_owned(), body: body.clone() };
        assert_eq!(differences(&document, &object), expect, "{body} {object}");
    }

    #[test]
    fn what_is_not_given_counts_only_where_an_update_would_take_it_away() {
        let object = json!({"id": "1", "function": "f", "uris": ["/org/a"], "enabled": true, "tags": [{"key": "a", "value": "b"}]});
        let wish =
            json!({"name": "x", "function": "f", "uris": ["/a"], "enabled": true, "hosts": []});
        check(Kind::Api, wish.clone(), object.clone(), &[]);
        check(Kind::Api, json!({"function": "f", "uris": ["/a"]}), object.clone(), &["enabled"]);
        check(
            Kind::Api,
            json!({"function": "g", "uris": ["/b"], "enabled": true}),
            object,
            &["function", "uris"],
        );
        let deep = json!({"function": "f", "uris": ["/x/y/a"], "enabled": true});
        check(Kind::Api, wish, deep, &["uris"]);
        check(
            Kind::Secret,
            json!({"secrets": {"a": "1"}}),
            json!({"secrets": {"a": "1", "b": "2"}}),
            &["secrets"],
        );
        check(
            Kind::Secret,
            json!({"secrets": {"a": "1"}, "tags": null}),
            json!({"secrets": {"a": "1"}, "tags": []}),
            &[],
        );
        check(
            Kind::Image,
            json!({"baseImageName": "b", "dockerUrl": "old"}),
            json!({"baseImageName": "b", "runtimeDependencies": {}, "dockerUrl": "new"}),
            &[],
        );
        check(
            Kind::Image,
            json!({"baseImageName": "b"}),
            json!({"baseImageName": "b", "runtimeDependencies": {"manifest": "x"}}),
            &["runtimeDependencies"],
        );
    }

    #[test]
    fn a_source_is_compared_by_its_digest() {
        let wish = json!({"image": "p", "source": STANDARD.encode("abc"), "sourcePath": "f.py", "schema": {"in": null}});
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check(
            Kind::Function,
            wish.clone(),
            json!({"image": "p", "sourceDigest": abc, "schema": {}}),
            &[],
        );
        check(
            Kind::Function,
            wish.clone(),
            json!({"image": "p", "sourceDigest": "00"}),
            &["source"],
        );
        check(Kind::Function, wish, json!({"image": "p"}), &["source"]);
    }

    #[test]
    fn a_brokers_login_and_classes_are_compared_as_far_as_they_are_wished() {
        let object = json!({"url": "http://h/", "authentication": {"type": "basic", "secret": "s"}, "status": "READY",
            "serviceClasses": {"a": {"enabled": true, "plans": ["p"]}, "b": {"enabled": false, "plans": []}}});
        check(
            Kind::ServiceBroker,
            json!({"url": "http://h", "authentication": {"secret": "s"}, "serviceClasses": ["a"]}),
            object.clone(),
            &[],
        );
        check(
            Kind::ServiceBroker,
            json!({"serviceClasses": {"a": {"plans": ["p"]}}}),
            object.clone(),
            &[],
        );
        check(
            Kind::ServiceBroker,
            json!({"serviceClasses": ["a", "b"], "authentication": {"secret": "t"}}),
            object.clone(),
            &["authentication", "serviceClasses"],
        );
        check(
            Kind::ServiceBroker,
            json!({"serviceClasses": {"a": {"plans": ["q"]}}}),
            object,
            &["serviceClasses"],
        );
    }

    #[test]
    fn an_instance_may_have_more_than_was_wished() {
        let object = json!({"serviceClass": "c", "servicePlan": "p", "parameters": {"storage": 2, "zone": "a"},
            "binding": {"parameters": {"role": "r"}, "secretParameters": null, "keys": ["host"], "status": "READY"}});
        let wish = json!({"serviceClass": "c", "parameters": {"storage": 2},
            "binding": {"parameters": {"role": "r"}, "bindingSecret": "old"}});
        check(Kind::ServiceInstance, wish, object.clone(), &[]);
        let other = json!({"servicePlan": "q", "parameters": {"storage": 3}, "binding": {"parameters": {}, "secretParameters": ["s"]}});
        check(Kind::ServiceInstance, other, object, &["binding", "parameters", "servicePlan"]);
    }

    #[test]
    fn what_is_being_deleted_is_never_as_it_is_wished() {
        let deleting = json!({"status": "DELETING"});
        check(Kind::ServiceInstance, json!({}), deleting, &["status (it is being deleted)"]);
        let zero = json!({"parameters": {"storage": 0}});
        check(Kind::ServiceInstance, zero.clone(), json!({"parameters": {}}), &["parameters"]);
        check(Kind::ServiceInstance, zero.clone(), zero, &[]);
    }
}
