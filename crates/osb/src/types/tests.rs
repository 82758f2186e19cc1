//! What brokers and platforms write is read leniently and written without noise.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

/// Reads a document and writes it again.
#[track_caller]
fn check<T: Serialize + DeserializeOwned>(document: Value, expect: Value) {
    let read: T = serde_json::from_value(document).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), expect);
}

/// OSB-003, OSB-019: in every kind of document, at every level.
#[test]
fn unknown_fields_are_ignored_and_null_is_absence() {
    let plan = json!({"id": "p", "name": "n", "description": "d"});
    let service = json!({
        "id": "s", "name": "n", "description": "d", "bindable": true, "plans": [plan],
    });
    let noisy_plan = json!({
        "id": "p", "name": "n", "description": "d", "x-foo": {}, "free": null, "bindable": null,
        "schemas": null, "binding_rotatable": null, "maximum_polling_duration": null,
        "maintenance_info": null, "metadata": null, "plan_updateable": null,
    });
    let noisy_service = json!({
        "id": "s", "name": "n", "description": "d", "bindable": true, "plans": [noisy_plan],
        "x-foo": 1, "tags": null, "requires": null, "metadata": null, "dashboard_client": null,
        "plan_updateable": null, "instances_retrievable": null, "bindings_retrievable": null,
        "allow_context_updates": null,
    });
    let noisy = json!({"services": [noisy_service], "x-foo": []});
    check::<Catalog>(noisy, json!({"services": [service]}));
    let nulls = json!({"dashboard_url": null, "operation": null, "metadata": null, "x-foo": 1});
    check::<ProvisionAnswer>(nulls.clone(), json!({}));
    check::<UpdateAnswer>(nulls.clone(), json!({}));
    check::<RemoveAnswer>(nulls.clone(), json!({}));
    let nulls = json!({
        "credentials": null, "volume_mounts": null, "endpoints": null, "metadata": null,
        "syslog_drain_url": null, "route_service_url": null, "parameters": null, "x-foo": 1,
    });
    check::<BindAnswer>(nulls.clone(), json!({}));
    check::<BindingDocument>(nulls, json!({}));
    check::<InstanceDocument>(json!({"parameters": null, "plan_id": null, "x": 1}), json!({}));
    check::<ErrorBody>(json!({"error": null, "description": null, "x": 1}), json!({}));
    let state = json!({"state": "in progress", "description": null, "x-foo": 1});
    check::<LastOperation>(state, json!({"state": "in progress"}));
    let body = json!({"service_id": "s", "plan_id": "p", "parameters": null, "context": null});
    check::<ProvisionBody>(body.clone(), json!({"service_id": "s", "plan_id": "p"}));
    check::<BindBody>(body, json!({"service_id": "s", "plan_id": "p"}));
    check::<UpdateBody>(json!({"service_id": "s", "plan_id": null}), json!({"service_id": "s"}));
}

/// OSB-085: `{}` is not the same as nothing.
#[test]
fn empty_parameters_are_kept() {
    let body = json!({"service_id": "s", "plan_id": "p", "parameters": {}});
    check::<ProvisionBody>(body.clone(), body);
}

/// OSB-151, OSB-152: everything that a binding has.
#[test]
fn a_binding_is_kept_whole() {
    let document = json!({
        "credentials": {"uri": "u", "nested": {"a": [1, 2.5, true, null]}},
        "syslog_drain_url": "s", "route_service_url": "r",
        "volume_mounts": [{
            "driver": "d", "container_dir": "c", "mode": "rw", "device_type": "shared",
            "device": {"volume_id": "v", "mount_config": {"k": 1}},
        }],
        "endpoints": [{"host": "h", "ports": ["1-2"], "protocol": "tcp"}],
        "metadata": {"expires_at": "2026-11-20T10:00:00.0Z"},
    });
    check::<BindAnswer>(document.clone(), document);
    let resource = json!({"app_guid": "a", "space_guid": "s", "app_annotations": {"b": "c"}});
    check::<BindResource>(resource.clone(), resource);
}

/// OSB-156: the fraction is optional.
#[test]
fn times_of_a_binding_are_read_leniently() {
    for (text, good) in [
        ("2026-11-20T10:00:00.0Z", true),
        ("2026-11-20T10:00:00Z", true),
        ("2026-11-20T10:00:00+00:00", true),
        ("tomorrow", false),
    ] {
        let metadata = BindingMetadata {
            expires_at: Some(text.to_owned()),
            renew_before: Some(text.to_owned()),
        };
        assert_eq!(metadata.expires().is_some(), good, "{text}");
        assert_eq!(metadata.renew(), metadata.expires());
    }
    assert_eq!(BindingMetadata::default().expires(), None);
}

/// OSB-017: known codes by their exact word, any other as it is.
#[test]
fn codes_are_words() {
    for word in ["AsyncRequired", "ConcurrencyError", "RequiresApp", "MaintenanceInfoConflict"] {
        let code = ErrorCode::from(word.to_owned());
        assert!(!matches!(code, ErrorCode::Other(_)), "{word}");
        assert_eq!(code.to_string(), word);
    }
    let other = ErrorCode::from("asyncrequired".to_owned());
    assert_eq!(other, ErrorCode::Other("asyncrequired".to_owned()));
}

/// OSB-014
#[test]
fn debug_output_shows_no_secret() {
    let hush = || json!({"password": "hush"}).as_object().cloned();
    let device = Device { volume_id: "v".to_owned(), mount_config: hush() };
    let mount = VolumeMount { device, ..VolumeMount::default() };
    let document = BindingDocument {
        credentials: hush(),
        syslog_drain_url: Some("https://u:hush@h".to_owned()),
        volume_mounts: vec![mount.clone()],
        parameters: hush(),
        ..BindingDocument::default()
    };
    let provision = ProvisionBody { parameters: hush(), ..ProvisionBody::default() };
    let update = UpdateBody { parameters: hush(), ..UpdateBody::default() };
    let bind = BindBody { parameters: hush(), ..BindBody::default() };
    let fetched = InstanceDocument { parameters: hush(), ..InstanceDocument::default() };
    let client = DashboardClient { secret: Some("hush".to_owned()), ..DashboardClient::default() };
    let shown =
        format!("{document:?} {mount:?} {provision:?} {update:?} {bind:?} {fetched:?} {client:?}");
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("redacted"));
}
