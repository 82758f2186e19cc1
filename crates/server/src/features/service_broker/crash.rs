//! The crash matrix of brokers: registered, used, and removed with all that stands on it.

use dispatch_osb::fake::{CallKind, Fault, RawAnswer};
use serde_json::{Value, json};

use crate::testing::crash::{Action, Behaviour, Matrix, Request, fetching};

const REGISTER: Request = Request {
    method: "POST",
    path: "/v1/servicebroker?wait=0",
    body: || json!({"name": "mine", "url": "$URL"}),
};
const CREATE: Request = Request {
    method: "POST",
    path: "/v1/serviceinstance",
    body: || json!({"name": "db", "serviceClass": "fake-kv"}),
};
const UPDATE: Request = Request {
    method: "PUT",
    path: "/v1/servicebroker/mine",
    body: || json!({"url": "$URL", "serviceClasses": ["fake-kv"]}),
};
const REFRESH: Request =
    Request { method: "POST", path: "/v1/servicebroker/mine/refresh", body: || json!({}) };
const DELETE: Request =
    Request { method: "DELETE", path: "/v1/servicebroker/mine?cascade=true", body: || Value::Null };

const ACTIONS: &[Action] = &[
    Action { name: "delete", at_once: &[DELETE], then: &[] },
    Action { name: "delete, and register again", at_once: &[DELETE], then: &[REGISTER] },
    Action { name: "update", at_once: &[UPDATE], then: &[] },
    Action { name: "refresh", at_once: &[REFRESH], then: &[] },
];

fn other_rows() -> Vec<Behaviour> {
    // A catalogue is fetched as a binding is, and fails in the same ways.
    let mut rows = fetching(CallKind::Catalog);
    rows.push(Behaviour::new("not the version", |broker| {
        let no = RawAnswer::error(412, "", "words of the broker");
        broker.faults(CallKind::Catalog, 3, Fault::Instead(no));
    }));
    rows.push(Behaviour::new("no answer", |broker| {
        broker.fault(CallKind::Catalog, Fault::ResetBefore);
    }));
    rows.push(Behaviour {
        hangs: true,
        ..Behaviour::new("hangs", |broker| broker.fault(CallKind::Catalog, Fault::HangBefore))
    });
    rows
}

#[tokio::test]
async fn a_broker_survives_every_crash() {
    let mut matrix = Matrix::start(&[], &[REGISTER, CREATE, DELETE]).await;
    let main = [Behaviour::new("well-behaved", |_| {})];
    matrix.try_rows(&main, &other_rows(), ACTIONS).await;
    matrix.finish("service brokers").await;
}
