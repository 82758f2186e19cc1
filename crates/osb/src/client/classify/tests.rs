//! Tables A0.1 to A0.7, row by row. A row is a status, a body, and what it must mean.

use http::header::ETAG;
use http::{HeaderMap, HeaderValue};

use super::super::outcome::CatalogFetched;
use super::*;

const READING: Reading = Reading { version: ApiVersion::LATEST, json_depth: 64 };
const ASYNC: &str = r#"{"error":"AsyncRequired"}"#;
const BUSY: &str = r#"{"error":"ConcurrencyError","description":"x"}"#;
const STALE: &str = r#"{"error":"MaintenanceInfoConflict"}"#;
const APP: &str = r#"{"error":"RequiresApp"}"#;

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, headers: HeaderMap::new(), body: Ok(Bytes::copy_from_slice(body.as_bytes())) }
}

fn answered(status: u16, body: &str) -> Exchange {
    Exchange::Answered(answer(status, body))
}

fn broken(status: u16) -> Exchange {
    let body = Err("the connection broke off in it".to_owned());
    Exchange::Answered(Answer { status, headers: HeaderMap::new(), body })
}

/// The name of an outcome, with the code of a refusal.
fn name<A>(outcome: &Outcome<A>) -> String {
    let code = |refusal: &Refusal| match &refusal.code {
        Some(code) => format!(" {code}"),
        None => String::new(),
    };
    match outcome {
        Outcome::Done(_) => "done".to_owned(),
        Outcome::Accepted { operation: None, .. } => "accepted".to_owned(),
        Outcome::Accepted { operation: Some(operation), .. } => format!("accepted {operation}"),
        Outcome::Gone => "gone".to_owned(),
        Outcome::Rejected(refusal) => format!("rejected{}", code(refusal)),
        Outcome::Busy { refusal, .. } => format!("busy{}", code(refusal)),
        Outcome::Unauthorized(_) => "unauthorized".to_owned(),
        Outcome::Unclear(_) => "unclear".to_owned(),
        Outcome::Garbled(_) => "garbled".to_owned(),
        Outcome::NotSent(_) => "not sent".to_owned(),
    }
}

type Row = (u16, &'static str, &'static str);

#[track_caller]
fn check(rows: &[Row], classify: impl Fn(Exchange) -> String) {
    for (status, body, expect) in rows {
        assert_eq!(&classify(answered(*status, body)), expect, "{status} {body:.200}");
    }
}

/// What every call that changes something has in common.
const COMMON: &[Row] = &[
    (200, "{}", "done"),
    (200, r#"{"x-foo":{"y":[1]}}"#, "done"),
    (200, "", "garbled"),
    (200, "[]", "garbled"),
    (200, "null", "garbled"),
    (200, "<html>", "garbled"),
    (202, "{}", "accepted"),
    (202, r#"{"operation":null}"#, "accepted"),
    (202, r#"{"operation":""}"#, "accepted"),
    (202, r#"{"operation":"x=1&y#z %"}"#, "accepted x=1&y#z %"),
    (202, r#"{"operation":7}"#, "unclear"),
    (202, "[]", "unclear"),
    (202, "", "unclear"),
    (203, "{}", "unclear"),
    (204, "", "unclear"),
    (206, "{}", "unclear"),
    (300, "", "rejected"),
    (307, "", "rejected"),
    (400, "", "rejected"),
    (401, "", "unauthorized"),
    (403, "", "rejected"),
    (404, "", "rejected"),
    (405, "", "rejected"),
    (408, "", "busy"),
    (409, "", "rejected"),
    (412, "", "rejected"),
    (413, "", "rejected"),
    (415, "", "rejected"),
    (422, ASYNC, "rejected AsyncRequired"),
    (422, BUSY, "busy ConcurrencyError"),
    (422, STALE, "rejected MaintenanceInfoConflict"),
    (422, r#"{"error":"Own"}"#, "rejected Own"),
    (422, "", "rejected"),
    (422, "ConcurrencyError", "rejected"),
    (422, r#"{"description":"ConcurrencyError"}"#, "rejected"),
    (429, "", "busy"),
    (500, "", "unclear"),
    (500, BUSY, "unclear"),
    (502, "<html>", "unclear"),
    (503, "{}", "unclear"),
    (599, "", "unclear"),
    (101, "", "unclear"),
    (999, "", "unclear"),
];

/// A0.1; OSB-018, OSB-088, OSB-190
#[test]
fn provision_answers_mean_what_table_a01_says() {
    let classify = |exchange| name(&provision(exchange, READING));
    check(COMMON, classify);
    check(
        &[
            (201, "{}", "done"),
            (201, r#"{"dashboard_url":"http://d","metadata":{"labels":{"a":"b"}}}"#, "done"),
            (201, r#"{"dashboard_url":null,"operation":null,"metadata":null}"#, "done"),
            (201, r#"{"operation":7,"metadata":7}"#, "done"),
            (201, r#"{"dashboard_url":7}"#, "unclear"),
            (200, r#"{"dashboard_url":7}"#, "garbled"),
            (202, r#"{"dashboard_url":7}"#, "unclear"),
            (201, "", "unclear"),
            (201, "{", "unclear"),
            (410, "", "rejected"),
        ],
        classify,
    );
    assert_eq!(name(&provision(Exchange::Lost("reset".into()), READING)), "unclear");
    assert_eq!(name(&provision(Exchange::NotSent("refused".into()), READING)), "not sent");
    for (status, expect) in [(200, "garbled"), (201, "unclear"), (202, "unclear")] {
        assert_eq!(name(&provision(broken(status), READING)), expect);
    }
    for (status, expect) in [(400, "rejected"), (401, "unauthorized"), (500, "unclear")] {
        assert_eq!(name(&provision(broken(status), READING)), expect);
    }
}

/// OSB-088: at most 10,000 characters, which may be longer in bytes.
#[test]
fn an_operation_is_bounded() {
    for (length, good) in [(10_000, true), (10_001, false)] {
        let body = format!(r#"{{"operation":"{}"}}"#, "é".repeat(length));
        let outcome = provision(answered(202, &body), READING);
        assert_eq!(matches!(outcome, Outcome::Accepted { .. }), good, "{length}");
    }
}

/// Before 2.14 a 408 on PUT called for orphan mitigation (OSB-210, A13).
#[test]
fn a_408_is_open_before_version_214() {
    for (minor, expect) in [(13, "unclear"), (14, "busy")] {
        let reading = Reading { version: ApiVersion::v2(minor), ..READING };
        assert_eq!(name(&provision(answered(408, ""), reading)), expect, "2.{minor}");
        assert_eq!(name(&remove(answered(408, ""), reading)), "busy", "2.{minor}");
        assert_eq!(name(&update(answered(408, ""), reading)), "busy", "2.{minor}");
    }
}

/// A0.2; OSB-152 … OSB-155
#[test]
fn bind_answers_mean_what_table_a02_says() {
    let classify = |exchange| name(&bind(exchange, READING, &[]));
    check(COMMON, classify);
    check(
        &[
            (201, r#"{"credentials":{"a":{"b":[1,true,null]}}}"#, "done"),
            (201, r#"{"credentials":null,"endpoints":null,"volume_mounts":null}"#, "done"),
            (201, "", "unclear"),
            (201, r#"{"credentials":"text"}"#, "unclear"),
            (200, r#"{"credentials":[]}"#, "garbled"),
            (202, r#"{"credentials":"text"}"#, "accepted"),
            (201, r#"{"syslog_drain_url":"u"}"#, "unclear"),
            (201, r#"{"route_service_url":"u"}"#, "unclear"),
            (201, r#"{"metadata":{"expires_at":7}}"#, "done"),
            (422, APP, "rejected RequiresApp"),
            (410, "", "rejected"),
        ],
        classify,
    );
    assert_eq!(name(&bind(Exchange::Lost("reset".into()), READING, &[])), "unclear");
    let volume = |field: &str, value: &str| {
        let mut mount = serde_json::json!({
            "driver": "nfs", "container_dir": "/d", "mode": "rw", "device_type": "shared",
            "device": {"volume_id": "v", "mount_config": {"a": 1}},
        });
        if field == "volume_id" {
            mount["device"][field] = value.into();
        } else if !field.is_empty() {
            mount[field] = value.into();
        }
        serde_json::json!({"volume_mounts": [mount]}).to_string()
    };
    let mounts = ["volume_mount".to_owned()];
    let verdict =
        |body: &str, requires: &[String]| name(&bind(answered(201, body), READING, requires));
    assert_eq!(verdict(&volume("", ""), &mounts), "done");
    assert_eq!(verdict(&volume("", ""), &[]), "unclear");
    for field in ["driver", "container_dir", "mode", "device_type", "device", "volume_id"] {
        assert_eq!(verdict(&volume(field, ""), &mounts), "unclear", "{field}");
    }
    for (requires, field) in
        [("syslog_drain", "syslog_drain_url"), ("route_forwarding", "route_service_url")]
    {
        let body = format!(r#"{{"{field}":"u"}}"#);
        assert_eq!(verdict(&body, &[requires.to_owned()]), "done");
    }
}

/// OSB-155
#[test]
fn endpoints_are_hosts_with_ports() {
    for (endpoint, expect) in [
        (r#"{"host":"h","ports":["443","9000-9010"]}"#, "done"),
        (r#"{"host":"h","ports":["443"],"protocol":"udp"}"#, "done"),
        (r#"{"host":"h","ports":["443"],"protocol":"sctp"}"#, "unclear"),
        (r#"{"host":"","ports":["443"]}"#, "unclear"),
        (r#"{"host":"h","ports":[]}"#, "unclear"),
        (r#"{"host":"h"}"#, "unclear"),
        (r#"{"host":"h","ports":[443]}"#, "unclear"),
        (r#"{"host":"h","ports":["0"]}"#, "unclear"),
        (r#"{"host":"h","ports":["9-8"]}"#, "unclear"),
        (r#"{"host":"h","ports":["65536"]}"#, "unclear"),
    ] {
        let body = format!(r#"{{"endpoints":[{endpoint}]}}"#);
        let outcome = bind(answered(201, &body), READING, &[]);
        assert_eq!(name(&outcome), expect, "{endpoint}");
    }
}

/// A0.3; OSB-134
#[test]
fn update_answers_mean_what_table_a03_says() {
    let classify = |exchange| name(&update(exchange, READING));
    check(COMMON, classify);
    check(&[(201, "{}", "unclear"), (410, "", "rejected")], classify);
    assert_eq!(name(&update(Exchange::Lost("late".into()), READING)), "unclear");
    let body = r#"{"dashboard_url":null,"metadata":{"labels":"wrong"}}"#;
    let expect = UpdateAnswer::default();
    assert_eq!(update(answered(200, body), READING), Outcome::Done(expect));
}

/// A0.3; OSB-107, OSB-135, OSB-136: in a refusal and in a failure alike.
#[test]
fn flags_of_a_failed_update_are_kept() {
    let body = r#"{"description":"no","instance_usable":false,"update_repeatable":false}"#;
    match update(answered(422, body), READING) {
        Outcome::Rejected(refusal) => {
            assert!(!refusal.instance_usable && !refusal.update_repeatable);
        }
        other => panic!("{other:?}"),
    }
    match update(answered(500, body), READING) {
        Outcome::Unclear(doubt) => assert!(!doubt.instance_usable && !doubt.update_repeatable),
        other => panic!("{other:?}"),
    }
    match update(answered(400, r#"{"instance_usable":"no"}"#), READING) {
        Outcome::Rejected(refusal) => {
            assert!(refusal.instance_usable && refusal.update_repeatable);
        }
        other => panic!("{other:?}"),
    }
}

/// A0.4; OSB-182, OSB-186
#[test]
fn delete_answers_mean_what_table_a04_says() {
    let classify = |exchange| name(&remove(exchange, READING));
    check(COMMON, classify);
    check(&[(201, "{}", "unclear"), (410, "", "gone"), (410, "<html>", "gone")], classify);
    assert_eq!(name(&remove(Exchange::Lost("late".into()), READING)), "unclear");
    assert_eq!(name(&remove(broken(200), READING)), "garbled");
}

/// A0.5; OSB-103, OSB-106, OSB-107, OSB-212
#[test]
fn poll_answers_mean_what_table_a05_says() {
    let classify = |exchange| match polled(exchange, READING) {
        Polled::InProgress { .. } => "in progress".to_owned(),
        Polled::Succeeded { .. } => "succeeded".to_owned(),
        Polled::Failed { instance_usable: true, update_repeatable: true, .. } => "failed".into(),
        Polled::Failed { .. } => "failed, flagged".to_owned(),
        Polled::Gone => "gone".to_owned(),
        Polled::BadRequest(_) => "bad request".to_owned(),
        Polled::NotFound => "not found".to_owned(),
        Polled::Unknown(_) => "unknown".to_owned(),
    };
    check(
        &[
            (200, r#"{"state":"in progress","x-foo":1}"#, "in progress"),
            (200, r#"{"state":"succeeded","description":null}"#, "succeeded"),
            (200, r#"{"state":"failed"}"#, "failed"),
            (200, r#"{"state":"failed","instance_usable":false}"#, "failed, flagged"),
            (200, r#"{"state":"failed","update_repeatable":false}"#, "failed, flagged"),
            (200, r#"{"state":"Succeeded"}"#, "unknown"),
            (200, r#"{"state":7}"#, "unknown"),
            (200, "{}", "unknown"),
            (200, "[]", "unknown"),
            (200, "", "unknown"),
            (201, r#"{"state":"succeeded"}"#, "unknown"),
            (202, r#"{"state":"succeeded"}"#, "unknown"),
            (307, "", "unknown"),
            (400, "", "bad request"),
            (401, "", "unknown"),
            (404, "", "not found"),
            (410, "{}", "gone"),
            (422, BUSY, "unknown"),
            (429, "", "unknown"),
            (500, "", "unknown"),
        ],
        classify,
    );
    assert_eq!(classify(Exchange::Lost("late".into())), "unknown");
    assert_eq!(classify(Exchange::NotSent("refused".into())), "unknown");
    assert_eq!(classify(broken(200)), "unknown");
    let said = polled(
        answered(200, r#"{"state":"in progress","description":" 3 \n of 7\u0007"}"#),
        READING,
    );
    let description = Some("3   of 7".to_owned());
    assert_eq!(said, Polled::InProgress { description, retry_after: None });
}

/// A0.6; OSB-120 … OSB-123
#[test]
fn fetch_answers_mean_what_table_a06_says() {
    let rows: &[Row] = &[
        (200, "{}", "found"),
        (200, r#"{"parameters":null}"#, "found"),
        (200, r#"{"parameters":7}"#, "failed"),
        (200, "", "failed"),
        (201, "{}", "failed"),
        (400, "", "failed"),
        (401, "", "failed"),
        (404, "", "absent"),
        (410, "", "failed"),
        (422, BUSY, "busy"),
        (422, "", "failed"),
        (500, "", "failed"),
    ];
    fn name<A>(fetched: &Fetched<A>) -> String {
        let name = match fetched {
            Fetched::Found(_) => "found",
            Fetched::Absent => "absent",
            Fetched::Busy => "busy",
            Fetched::Failed(_) => "failed",
        };
        name.to_owned()
    }
    check(rows, |exchange| name(&instance(exchange, READING)));
    check(rows, |exchange| name(&binding(exchange, READING, &[])));
    assert_eq!(name(&instance(Exchange::Lost("late".into()), READING)), "failed");
}

/// A0.7; OSB-007, OSB-050
#[test]
fn catalogue_answers_mean_what_table_a07_says() {
    let classify = |exchange| match catalog(exchange, READING) {
        Ok(CatalogFetched::Fetched { .. }) => "fetched".to_owned(),
        Ok(CatalogFetched::Unchanged { .. }) => "unchanged".to_owned(),
        Ok(CatalogFetched::Unauthorized(_)) => "unauthorized".to_owned(),
        Ok(CatalogFetched::NoCommonVersion(_)) => "no common version".to_owned(),
        Ok(CatalogFetched::Failed(_)) => "failed".to_owned(),
        Err(_) => "step down".to_owned(),
    };
    check(
        &[
            (200, r#"{"services":[]}"#, "fetched"),
            (200, "<html>", "failed"),
            (200, "", "failed"),
            (201, "{}", "failed"),
            (204, "", "failed"),
            (301, "", "failed"),
            (304, "", "unchanged"),
            (400, "", "failed"),
            (401, "", "unauthorized"),
            (404, "", "failed"),
            (412, "", "step down"),
            (500, "", "failed"),
        ],
        classify,
    );
    assert_eq!(classify(Exchange::NotSent("refused".into())), "failed");
    let mut tagged = answer(200, "{}");
    tagged.headers.insert(ETAG, HeaderValue::from_static("\"v1\""));
    match catalog(Exchange::Answered(tagged), READING) {
        Ok(CatalogFetched::Fetched { etag, .. }) => assert_eq!(etag.as_deref(), Some("\"v1\"")),
        other => panic!("{other:?}"),
    }
}
