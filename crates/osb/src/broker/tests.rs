//! The toolkit through its router, without a network.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::types::{LastOperation, OperationState, ProvisionAnswer};

/// Answers what the name of the instance says, and remembers what it was asked.
#[derive(Default)]
struct Scripted {
    seen: Mutex<Vec<String>>,
}

#[async_trait]
impl Broker for Scripted {
    async fn catalog(&self, _: &Call) -> Result<Catalog, Failure> {
        Ok(Catalog::default())
    }

    async fn provision(&self, call: &Call, request: Provision) -> Result<Provisioned, Failure> {
        self.seen.lock().unwrap().push(format!("{call:?} {request:?}"));
        let answer = ProvisionAnswer { operation: Some("op".into()), ..Default::default() };
        match request.instance_id.as_str() {
            "exists" => Ok(Provisioned::Exists(Default::default())),
            "accepted" => Ok(Provisioned::Accepted(answer)),
            "async" => Err(Failure::async_required()),
            "busy" => Err(Failure::concurrency_error("later")),
            "app" => Err(Failure::requires_app()),
            "maintenance" => Err(Failure::maintenance_info_conflict()),
            "conflict" => Err(Failure::conflict("taken")),
            "own" => Err(Failure::unprocessable(Some("Own"), "so").with_instance_usable(false)),
            "many" => {
                let after = std::time::Duration::from_millis(1_001);
                Err(Failure::too_many_requests(Some(after)))
            }
            "panic" => panic!("on purpose"),
            _ => Ok(Provisioned::Created(Default::default())),
        }
    }

    async fn deprovision(&self, _: &Call, _: Deprovision) -> Result<Removed, Failure> {
        Err(Failure::gone())
    }

    async fn instance_operation(&self, _: &Call, _: PollInstance) -> Result<Progress, Failure> {
        Ok(LastOperation::new(OperationState::InProgress).into())
    }

    async fn unbind(&self, _: &Call, _: Unbind) -> Result<Removed, Failure> {
        Ok(Removed::Accepted { operation: None })
    }
}

const BODY: &str = r#"{"service_id":"s","plan_id":"p","x-foo":1,"parameters":null}"#;

fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("X-Broker-API-Version", "2.17")
        .header("X-Broker-API-Request-Identity", "r-1")
        .body(body.into())
        .unwrap()
}

async fn ask(request: Request<Body>) -> (u16, Value, Response) {
    let router = router(Arc::new(Scripted::default()), Authentication::None);
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    (parts.status.as_u16(), json, Response::from_parts(parts, Body::empty()))
}

async fn check(request: Request<Body>, status: u16, body: Value) {
    let what = format!("{} {}", request.method(), request.uri());
    let (got, json, _) = ask(request).await;
    assert_eq!((got, json), (status, body), "{what}");
}

fn provision(id: &str) -> Request<Body> {
    request("PUT", &format!("/v2/service_instances/{id}?accepts_incomplete=true"), BODY)
}

#[tokio::test]
async fn answers_and_failures_have_the_statuses_and_codes_of_the_specification() {
    check(request("GET", "/v2/catalog", ""), 200, json!({"services": []})).await;
    check(provision("new"), 201, json!({})).await;
    check(provision("exists"), 200, json!({})).await;
    check(provision("accepted"), 202, json!({"operation": "op"})).await;
    check(provision("conflict"), 409, json!({"description": "taken"})).await;
    let own = json!({"error": "Own", "description": "so", "instance_usable": false});
    check(provision("own"), 422, own).await;
    for (id, code) in [
        ("async", "AsyncRequired"),
        ("busy", "ConcurrencyError"),
        ("app", "RequiresApp"),
        ("maintenance", "MaintenanceInfoConflict"),
    ] {
        let (status, json, _) = ask(provision(id)).await;
        assert_eq!((status, json["error"].as_str()), (422, Some(code)));
    }
    let instance = "/v2/service_instances/i";
    let ids = "service_id=s&plan_id=p";
    check(request("DELETE", &format!("{instance}?{ids}"), ""), 410, json!({})).await;
    let binding = format!("{instance}/service_bindings/b");
    check(request("DELETE", &format!("{binding}?{ids}"), ""), 202, json!({})).await;
    let poll = format!("{instance}/last_operation");
    check(request("GET", &poll, ""), 200, json!({"state": "in progress"})).await;
}

#[tokio::test]
async fn a_panic_in_the_broker_is_a_500_on_that_request() {
    assert_eq!(ask(provision("panic")).await.0, 500);
}

#[tokio::test]
async fn times_to_come_back_are_rounded_up_to_seconds() {
    let (status, _, response) = ask(provision("many")).await;
    assert_eq!((status, &response.headers()["retry-after"]), (429, &http::HeaderValue::from(2)));
}

/// OSB-001, OSB-007
#[tokio::test]
async fn the_version_is_required_and_its_major_number_is_2() {
    for (version, status) in [
        (None, 400),
        (Some("two"), 400),
        (Some("2.11"), 200),
        (Some("2.99"), 200),
        (Some("1.0"), 412),
        (Some("3.0"), 412),
    ] {
        let mut request = request("GET", "/v2/catalog", "");
        request.headers_mut().remove("X-Broker-API-Version");
        if let Some(version) = version {
            request.headers_mut().insert("X-Broker-API-Version", version.parse().unwrap());
        }
        assert_eq!(ask(request).await.0, status, "{version:?}");
    }
}

/// OSB-004: on every path, and before anything else is looked at.
#[tokio::test]
async fn no_path_answers_without_credentials() {
    let broker = Arc::new(Scripted::default());
    let authentication =
        Authentication::Basic { username: "u".to_owned(), password: "p".to_owned() };
    let router = router(broker.clone(), authentication);
    for path in ["/v2/catalog", "/v2/service_instances/i", "/elsewhere"] {
        let answer = router.clone().oneshot(request("GET", path, "")).await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        assert!(answer.headers().contains_key("www-authenticate"));
    }
    let mut right = provision("i");
    let pair = base64::engine::general_purpose::STANDARD.encode("u:p");
    right.headers_mut().insert("Authorization", format!("Basic {pair}").parse().unwrap());
    assert_eq!(router.oneshot(right).await.unwrap().status(), 201);
    assert_eq!(broker.seen.lock().unwrap().len(), 1);
}

/// OSB-010
#[tokio::test]
async fn the_identity_of_a_request_is_echoed() {
    for path in ["/v2/catalog", "/elsewhere"] {
        let (_, _, response) = ask(request("GET", path, "")).await;
        assert_eq!(response.headers()["x-broker-api-request-identity"], "r-1", "{path}");
    }
}

/// OSB-011
#[tokio::test]
async fn ids_are_decoded_once() {
    let broker = Arc::new(Scripted::default());
    let router = router(broker.clone(), Authentication::None);
    let path = "/v2/service_instances/a%20b%2Fc%3Fd%26%C3%A9%2541";
    let answer = router.clone().oneshot(request("PUT", path, BODY)).await.unwrap();
    assert_eq!(answer.status(), 201);
    let seen = broker.seen.lock().unwrap().remove(0);
    assert!(seen.contains("\"a b/c?d&é%41\""), "{seen}");
    let bad = request("PUT", "/v2/service_instances/%FF", BODY);
    assert_eq!(router.oneshot(bad).await.unwrap().status(), 400);
}

#[tokio::test]
async fn ids_and_bodies_are_bounded() {
    for (length, status) in [(MAX_ID_BYTES, 201), (MAX_ID_BYTES + 1, 400)] {
        assert_eq!(ask(provision(&"i".repeat(length))).await.0, status, "{length}");
    }
    for (length, status) in [(MAX_BODY_BYTES, 201), (MAX_BODY_BYTES + 1, 413)] {
        let mut body = BODY.to_owned();
        body.push_str(&" ".repeat(length - BODY.len()));
        let request = request("PUT", "/v2/service_instances/i", body);
        assert_eq!(ask(request).await.0, status, "{length}");
    }
}

#[tokio::test]
async fn a_faulty_request_names_what_is_wrong_without_quoting_it() {
    let put = |body: &'static str| request("PUT", "/v2/service_instances/i", body);
    for body in ["", "{", "[]", r#"{"service_id":"s","plan_id":7,"parameters":{"a":"hush"}}"#] {
        let (status, json, _) = ask(put(body)).await;
        assert_eq!(status, 400, "{body}");
        assert!(!json.to_string().contains("hush"));
    }
    let missing = json!({"description": "plan_id is missing in the query"});
    let path = "/v2/service_instances/i?service_id=s";
    check(request("DELETE", path, ""), 400, missing).await;
    assert_eq!(ask(request("POST", "/v2/catalog", "")).await.0, 405);
    let mut identity = provision("i");
    let header = "X-Broker-API-Originating-Identity";
    identity.headers_mut().insert(header, "nonsense".parse().unwrap());
    assert_eq!(ask(identity).await.0, 400);
}
