//! One broken catalogue per rule; each fault names its place.

use serde_json::{Value, json};

use super::*;

fn good() -> Value {
    json!({"services": [{
        "id": "s-1", "name": "db", "description": "Databases", "bindable": true,
        "x-foo": 1,
        "plans": [
            {"id": "p-1", "name": "small", "description": "A small one", "x-foo": [1]},
            {"id": "p-2", "name": "Small", "description": "Another small one", "free": null},
        ],
    }]})
}

/// The good catalogue with something else at a place.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = good();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
    document
}

fn without(pointer: &str) -> Value {
    let mut document = good();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    document
}

/// For a platform that can use every schema.
fn validate(document: &Value) -> Result<Validated, Vec<Fault>> {
    super::validate(document, &|_| Ok(()))
}

#[track_caller]
fn check(document: Value, faults: &[&str]) {
    let found = match validate(&document) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(|fault| fault.path.clone()).collect(),
    };
    assert_eq!(found, faults, "{document}");
}

/// The warnings of a catalogue that is accepted.
#[track_caller]
fn warned(document: &Value) -> Vec<String> {
    let validated = validate(document).unwrap();
    validated.warnings.iter().map(|warning| warning.path.clone()).collect()
}

/// OSB-003, OSB-019, OSB-033: unknown fields, null, and names that differ in case only.
#[test]
fn a_good_catalogue_is_taken_as_it_is() {
    let validated = validate(&good()).unwrap();
    assert_eq!(validated.warnings, []);
    let names: Vec<_> = validated.services[0].plans.iter().map(|plan| &plan.name).collect();
    assert_eq!(names, ["small", "Small"]);
    assert!(validated.services[0].plans[1].is_free());
}

/// OSB-030
#[test]
fn a_catalogue_is_an_object_with_services() {
    check(json!({}), &["services"]);
    check(json!([]), &[""]);
    check(json!("x"), &[""]);
    check(json!({"services": {}}), &["services"]);
    check(json!({"services": null}), &["services"]);
    check(json!({"services": [7]}), &["services[0]"]);
    assert_eq!(warned(&json!({"services": []})), ["services"]);
}

/// OSB-031
#[test]
fn a_service_has_its_required_fields() {
    for field in ["id", "name", "description", "bindable", "plans"] {
        let path = format!("services[0].{field}");
        let pointer = format!("/services/0/{field}");
        check(without(&pointer), &[&path]);
        check(with(&pointer, Value::Null), &[&path]);
        check(with(&pointer, json!(7)), &[&path]);
    }
    for field in ["id", "name", "description"] {
        check(with(&format!("/services/0/{field}"), json!("")), &[&format!("services[0].{field}")]);
    }
    check(with("/services/0/plans", json!([])), &["services[0].plans"]);
    check(with("/services/0/plans/0", json!("x")), &["services[0].plans[0]"]);
}

/// OSB-032
#[test]
fn a_plan_has_its_required_fields() {
    for field in ["id", "name", "description"] {
        let path = format!("services[0].plans[1].{field}");
        let pointer = format!("/services/0/plans/1/{field}");
        check(without(&pointer), &[&path]);
        check(with(&pointer, json!("")), &[&path]);
        check(with(&pointer, json!({})), &[&path]);
    }
}

fn twice(second: Value) -> Value {
    let mut document = good();
    let mut service = document["services"][0].clone();
    service.as_object_mut().unwrap().extend(second.as_object().cloned().unwrap());
    document["services"].as_array_mut().unwrap().push(service);
    document
}

/// OSB-031, OSB-032
#[test]
fn ids_are_unique_everywhere_and_names_where_they_belong() {
    let plan = json!([{"id": "p-3", "name": "small", "description": "d"}]);
    check(twice(json!({"id": "s-2", "name": "kv", "plans": plan})), &[]);
    check(twice(json!({"id": "s-1", "name": "kv", "plans": plan})), &["services[1].id"]);
    check(twice(json!({"id": "s-2", "name": "db", "plans": plan})), &["services[1].name"]);
    let same = ["services[1].plans[0].id", "services[1].plans[1].id"];
    check(twice(json!({"id": "s-2", "name": "kv"})), &same);
    check(with("/services/0/plans/1/name", json!("small")), &["services[0].plans[1].name"]);
    check(with("/services/0/plans/1/id", json!("p-1")), &["services[0].plans[1].id"]);
}

#[test]
fn names_are_bounded_in_bytes() {
    for (name, good) in [(format!("{}x", "é".repeat(127)), true), ("é".repeat(128), false)] {
        for pointer in ["/services/0/name", "/services/0/plans/0/id"] {
            assert_eq!(validate(&with(pointer, json!(name))).is_ok(), good);
        }
    }
    // OSB-049
    check(with("/services/0/description", json!("d".repeat(20_000))), &[]);
}

/// OSB-037
#[test]
fn unknown_permissions_are_kept_and_pointed_out() {
    let document = with("/services/0/requires", json!(["syslog_drain", "teleport"]));
    assert_eq!(warned(&document), ["services[0].requires"]);
    assert_eq!(validate(&document).unwrap().services[0].requires, ["syslog_drain", "teleport"]);
    check(with("/services/0/requires", json!("syslog_drain")), &["services[0].requires"]);
}

/// OSB-038 … OSB-041
#[test]
fn flags_that_the_platform_acts_on_are_booleans() {
    for flag in [
        "plan_updateable",
        "instances_retrievable",
        "bindings_retrievable",
        "allow_context_updates",
    ] {
        let path = format!("services[0].{flag}");
        check(with(&format!("/services/0/{flag}"), json!("true")), &[&path]);
    }
    for flag in ["free", "bindable", "plan_updateable", "binding_rotatable"] {
        let path = format!("services[0].plans[0].{flag}");
        check(with(&format!("/services/0/plans/0/{flag}"), json!(1)), &[&path]);
    }
}

/// OSB-038, OSB-039, OSB-040
#[test]
fn a_plan_overrides_its_service() {
    for service in [true, false] {
        for (plan, expect) in [(json!(null), service), (json!(true), true), (json!(false), false)] {
            let mut document = with("/services/0/bindable", json!(service));
            document["services"][0]["plan_updateable"] = json!(service);
            document["services"][0]["plans"][0]["bindable"] = plan.clone();
            document["services"][0]["plans"][0]["plan_updateable"] = plan;
            let service = validate(&document).unwrap().services.remove(0);
            assert_eq!(service.plans[0].is_bindable(&service), expect);
            assert_eq!(service.plans[0].is_updateable(&service), expect);
        }
    }
}

/// OSB-042, OSB-043: an unusable schema costs a warning, never the catalogue.
#[test]
fn an_unusable_schema_is_left_out_with_a_warning() {
    let draft4 = "http://json-schema.org/draft-04/schema#";
    let big = |bytes: usize| {
        let empty = json!({"$schema": draft4, "title": ""}).to_string().len();
        json!({"$schema": draft4, "title": "t".repeat(bytes - empty)})
    };
    let local = json!({"$schema": draft4, "definitions": {"a": {}}, "$ref": "#/definitions/a"});
    let data = json!({"$schema": draft4, "enum": [{"$ref": "http://elsewhere/"}]});
    for (schema, kept, warnings) in [
        (json!({"$schema": draft4}), true, 0),
        (json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}), true, 0),
        (json!({}), true, 1),
        (local, true, 0),
        (data, true, 0),
        (big(MAX_SCHEMA_BYTES), true, 0),
        (big(MAX_SCHEMA_BYTES + 1), false, 1),
        (json!({"$schema": draft4, "allOf": [{"$ref": "http://elsewhere/"}]}), false, 1),
        (json!({"$schema": draft4, "$ref": "other.json#/a"}), false, 1),
        (json!({"$schema": "http://json-schema.org/draft-03/schema#"}), false, 1),
        (json!({"$schema": 4}), false, 1),
        (json!([]), false, 1),
        (json!(true), false, 1),
    ] {
        let schemas = json!({
            "service_instance": {"create": {"parameters": schema}, "update": null},
        });
        let document = with("/services/0/plans/0/schemas", schemas);
        let validated = validate(&document).unwrap();
        let plan = &validated.services[0].plans[0];
        assert_eq!(plan.create_schema().is_some(), kept, "{schema:.200}");
        assert_eq!(validated.warnings.len(), warnings, "{:?}", validated.warnings);
    }
    let path = "services[0].plans[0].schemas";
    assert_eq!(warned(&with("/services/0/plans/0/schemas", json!("x"))), [path]);
    let wrong = json!({"service_binding": {"create": 7}});
    let path = format!("{path}.service_binding.create");
    assert_eq!(warned(&with("/services/0/plans/0/schemas", wrong)), [path]);
}

/// OSB-043: whoever has the validator says what it cannot use, and the person is told where and why.
#[test]
fn a_schema_that_the_platform_cannot_use_is_left_out_with_its_reason() {
    let why = "it is\tnot \u{202e}counted".to_owned() + &" at all".repeat(100);
    let usable = |schema: &Value| match schema["title"] == "good" {
        true => Ok(()),
        false => Err(why.clone()),
    };
    let holder = |title: &str| json!({"parameters": {"$schema": "http://json-schema.org/schema#", "title": title}});
    let schemas = json!({
        "service_instance": {"create": holder("good"), "update": holder("bad")},
        "service_binding": {"create": holder("bad")},
    });
    let document = with("/services/0/plans/0/schemas", schemas);
    let validated = super::validate(&document, &usable).unwrap();
    let plan = &validated.services[0].plans[0];
    assert!(plan.create_schema().is_some() && plan.update_schema().is_none());
    let places = ["service_instance.update", "service_binding.create"];
    for (warning, place) in validated.warnings.iter().zip(places) {
        assert_eq!(warning.path, format!("services[0].plans[0].schemas.{place}.parameters"));
        let words = place.replace('.', ": ");
        let expect = format!(
            "service \"db\", plan \"small\": schemas: {words}: parameters cannot be used: it is not counted at all"
        );
        assert!(warning.message.starts_with(&expect), "{warning}");
        assert!(warning.message.ends_with("; parameters are sent without a check"), "{warning}");
        assert!(warning.message.chars().count() < 400, "{warning}");
    }
    assert_eq!(validated.warnings.len(), 2);
}

/// OSB-044, OSB-045, OSB-046, OSB-048
#[test]
fn what_is_only_a_convenience_is_left_out_with_a_warning() {
    for (field, bad) in [
        ("maintenance_info", json!({})),
        ("maintenance_info", json!({"version": "v1"})),
        ("maintenance_info", json!({"version": "1.0.0", "description": 7})),
        ("maintenance_info", json!("1.0.0")),
        ("maximum_polling_duration", json!("60")),
        ("maximum_polling_duration", json!(-1)),
        ("maximum_polling_duration", json!(0)),
        ("maximum_polling_duration", json!(1.5)),
        ("metadata", json!([])),
    ] {
        let document = with(&format!("/services/0/plans/0/{field}"), bad);
        assert_eq!(warned(&document), [format!("services[0].plans[0].{field}")]);
        let plan = validate(&document).unwrap().services[0].plans[0].clone();
        let kept = plan.maintenance_info.is_some()
            || plan.maximum_polling_duration.is_some()
            || plan.metadata.is_some();
        assert!(!kept);
    }
    assert_eq!(warned(&with("/services/0/tags", json!(["a", 1]))), ["services[0].tags"]);
    let metadata = json!({"displayName": "D", "costs": [{"amount": {"eur": 1.5}, "unit": "m"}]});
    let document = with("/services/0/metadata", metadata.clone());
    let service = validate(&document).unwrap().services.remove(0);
    assert_eq!(serde_json::to_value(service).unwrap()["metadata"], metadata);
    let good = json!({"version": "1.0.0-rc.1", "description": null});
    assert_eq!(warned(&with("/services/0/plans/0/maintenance_info", good)), [""; 0]);
}

/// OSB-047
#[test]
fn the_dashboard_clients_secret_is_not_kept() {
    for client in [json!(null), json!("x"), json!({"id": "i", "secret": "hush"})] {
        let validated = validate(&with("/services/0/dashboard_client", client)).unwrap();
        let text = serde_json::to_string(&validated.services).unwrap();
        assert!(!text.contains("dashboard_client") && !format!("{validated:?}").contains("hush"));
    }
}

/// OSB-031: everything at once, in words that name service, plan and field.
#[test]
fn all_faults_are_listed_at_once_and_bounded() {
    let mut document = good();
    document["services"][0]["bindable"] = json!("yes");
    document["services"][0]["plans"][0]["id"] = json!("");
    document["services"][0]["plans"][1]["name"] = json!(null);
    let faults = validate(&document).unwrap_err();
    let messages: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    let expect = [
        "service \"db\": bindable is a string, not a boolean",
        "service \"db\", plan \"small\": id is empty",
        "service \"db\", plan number 2: name is missing",
    ];
    assert_eq!(messages, expect);
    for (count, lines) in [(MAX_FAULTS, MAX_FAULTS), (MAX_FAULTS + 7, MAX_FAULTS + 1)] {
        let faults = validate(&json!({"services": vec![7; count]})).unwrap_err();
        assert_eq!(faults.len(), lines);
    }
}

/// Section D: a catalogue of 10,000 plans is read.
#[test]
fn a_huge_catalogue_is_accepted() {
    let plan =
        |n: usize| json!({"id": format!("p-{n}"), "name": format!("{n}"), "description": "d"});
    let plans: Vec<_> = (0..10_000).map(plan).collect();
    let validated = validate(&with("/services/0/plans", Value::Array(plans))).unwrap();
    assert_eq!(validated.services[0].plans.len(), 10_000);
}
