//! The crash matrix of orphans: what was given up is removed, whatever happens to its removal.

use dispatch_osb::fake::{CallKind, FakeBroker, Fault, RawAnswer, Work};
use serde_json::{Value, json};

use crate::testing::crash::{Action, Behaviour, Matrix, REGISTER, Request, polling, removing};

const CREATE: Request = Request {
    method: "POST",
    path: "/v1/serviceinstance",
    body: || json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "small"}),
};
const DELETE: Request =
    Request { method: "DELETE", path: "/v1/serviceinstance/db", body: || Value::Null };

const ACTIONS: &[Action] = &[
    Action { name: "delete", at_once: &[DELETE], then: &[] },
    Action { name: "delete, and create again", at_once: &[DELETE], then: &[CREATE] },
];

/// The first answer about an instance and about its binding is an error, although it was made.
fn orphans(broker: &FakeBroker) {
    let oops = || Fault::After(RawAnswer::error(500, "", "words of the broker"));
    broker.fault(CallKind::Provision, oops());
    broker.fault(CallKind::Bind, oops());
}

/// Nobody sees an answer at all.
fn lost(broker: &FakeBroker) {
    broker.fault(CallKind::Provision, Fault::ResetAfter);
    broker.fault(CallKind::Bind, Fault::ResetAfter);
}

fn asynchronous(broker: &FakeBroker) {
    broker.configure(|settings| {
        settings.deprovision = Work::polls(1);
        settings.unbind = Work::polls(1);
    });
}

fn main_rows() -> Vec<Behaviour> {
    vec![Behaviour::new("orphans", orphans)]
}

fn other_rows() -> Vec<Behaviour> {
    let mut rows = vec![Behaviour::new("lost", lost)];
    let instances = removing(CallKind::Deprovision).into_iter();
    rows.extend(instances.map(|row| row.with("orphans", orphans)));
    rows.extend(removing(CallKind::Unbind).into_iter().map(|row| row.with("lost", lost)));
    rows.push(Behaviour::new("orphans", orphans).with("asynchronous", asynchronous));
    for call in [CallKind::PollInstance, CallKind::PollBinding] {
        // A broker that says 410 while it is still removing cannot be found out.
        let polled = polling(call).into_iter().filter(|row| !row.name.contains("410"));
        rows.extend(
            polled.map(|row| row.with("asynchronous", asynchronous).with("orphans", orphans)),
        );
    }
    rows
}

#[tokio::test]
async fn an_orphan_is_removed_after_every_crash() {
    let mut matrix = Matrix::start(&[REGISTER], &[CREATE, DELETE]).await;
    matrix.try_rows(&main_rows(), &other_rows(), ACTIONS).await;
    matrix.finish("orphans").await;
}
