//! The crash matrix of instances.

use dispatch_osb::fake::{CallKind, End, FakeBroker, Fault, RawAnswer, Work};
use serde_json::{Value, json};

use crate::testing::crash::{
    Action, Behaviour, Matrix, REGISTER, Request, making, polling, removing,
};

const CREATE: Request = Request {
    method: "POST",
    path: "/v1/serviceinstance",
    body: || json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "small"}),
};
const DELETE: Request =
    Request { method: "DELETE", path: "/v1/serviceinstance/db", body: || Value::Null };
const RETRY: Request =
    Request { method: "POST", path: "/v1/serviceinstance/db/retry", body: || json!({}) };

const ACTIONS: &[Action] = &[
    Action { name: "delete", at_once: &[DELETE], then: &[] },
    Action { name: "delete when it has settled", at_once: &[], then: &[DELETE] },
    Action { name: "delete, and create again", at_once: &[DELETE], then: &[CREATE] },
    Action { name: "retry", at_once: &[RETRY], then: &[] },
];

fn asynchronous(broker: &FakeBroker) {
    broker.configure(|settings| {
        settings.provision = Work::polls(1);
        settings.deprovision = Work::polls(1);
    });
}

fn failing(remains: bool) -> End {
    let (instance_usable, update_repeatable) = (None, None);
    let description = "words of the broker".to_owned();
    End::Fail { description, instance_usable, update_repeatable, remains }
}

fn main_rows() -> Vec<Behaviour> {
    vec![
        Behaviour::new("synchronous", |_| {}),
        Behaviour::new("asynchronous", asynchronous),
        Behaviour::new("500 after the work", |broker| {
            let oops = RawAnswer::error(500, "", "words of the broker");
            broker.fault(CallKind::Provision, Fault::After(oops));
        }),
    ]
}

fn other_rows() -> Vec<Behaviour> {
    let mut rows = making(CallKind::Provision);
    rows.extend(removing(CallKind::Deprovision));
    rows.extend(
        polling(CallKind::PollInstance)
            .into_iter()
            .map(|row| row.with("asynchronous", asynchronous)),
    );
    for (remains, what) in [(true, "leaves a ruin"), (false, "cleans up")] {
        for (pace, when) in [(Work::default(), "at once"), (Work::polls(1), "later")] {
            let work = pace.ending(failing(remains));
            let row = Behaviour::new(format!("fails {when} and {what}"), move |broker| {
                broker.configure(|settings| settings.provision = work.clone());
            });
            rows.push(Behaviour { cleans_up: !remains, ..row });
        }
    }
    rows.push(Behaviour::new("fails to remove", |broker| {
        broker.configure(|settings| settings.deprovision = Work::polls(1).ending(failing(true)));
    }));
    rows.push(Behaviour::new("stops a creation when it is to be removed", |broker| {
        broker.configure(|settings| {
            settings.provision = Work::held();
            settings.delete_halts_creation = true;
        });
    }));
    rows.push(Behaviour::new("one thing at a time", |broker| {
        asynchronous(broker);
        broker.configure(|settings| settings.strictly_serial = true);
    }));
    rows
}

#[tokio::test]
async fn an_instance_survives_every_crash() {
    let mut matrix = Matrix::start(&[REGISTER], &[CREATE, DELETE]).await;
    matrix.try_rows(&main_rows(), &other_rows(), ACTIONS).await;
    matrix.finish("service instances").await;
}
