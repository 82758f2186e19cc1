//! The crash matrices of bindings and of their rotation, all of it on one instance.

use dispatch_osb::fake::{CallKind, End, FakeBroker, Fault, RawAnswer, Work};
use serde_json::{Value, json};

use crate::testing::crash::{
    Action, Behaviour, Matrix, REGISTER, Request, fetching, making, polling, removing,
};

const BASE: Request = Request {
    method: "POST",
    path: "/v1/serviceinstance?wait=60",
    body: || json!({"name": "base", "serviceClass": "fake-db", "servicePlan": "small"}),
};
const CREATE: Request = Request {
    method: "POST",
    path: "/v1/servicebinding",
    body: || json!({"name": "more", "instance": "base"}),
};
const ROTATE: Request =
    Request { method: "POST", path: "/v1/servicebinding/more/rotate", body: || json!({}) };
const DELETE: Request =
    Request { method: "DELETE", path: "/v1/servicebinding/more", body: || Value::Null };

const ACTIONS: &[Action] = &[
    Action { name: "delete", at_once: &[DELETE], then: &[] },
    Action { name: "delete when it has settled", at_once: &[], then: &[DELETE] },
    Action { name: "delete, and create again", at_once: &[DELETE], then: &[CREATE] },
    Action { name: "rotate", at_once: &[ROTATE], then: &[] },
];

fn asynchronous(broker: &FakeBroker) {
    broker.configure(|settings| {
        settings.bind = Work::polls(1);
        settings.unbind = Work::polls(1);
    });
}

fn once(broker: &FakeBroker) {
    broker.configure(|settings| settings.credentials_once = true);
}

fn failing(remains: bool) -> End {
    let (instance_usable, update_repeatable) = (None, None);
    let description = "words of the broker".to_owned();
    End::Fail { description, instance_usable, update_repeatable, remains }
}

fn main_rows() -> Vec<Behaviour> {
    vec![
        Behaviour::new("synchronous", |_| {}),
        Behaviour::new("synchronous, credentials once", once),
        Behaviour::new("asynchronous, credentials once", asynchronous).with("", once),
    ]
}

fn other_rows() -> Vec<Behaviour> {
    let mut rows = making(CallKind::Bind);
    rows.extend(making(CallKind::Bind).into_iter().map(|row| row.with("credentials once", once)));
    rows.extend(removing(CallKind::Unbind));
    let asynchronously = |row: Behaviour| row.with("asynchronous", asynchronous);
    rows.extend(polling(CallKind::PollBinding).into_iter().map(asynchronously));
    rows.extend(fetching(CallKind::GetBinding).into_iter().map(asynchronously));
    rows.extend(
        fetching(CallKind::GetBinding)
            .into_iter()
            .map(|row| row.with("asynchronous", asynchronous).with("credentials once", once)),
    );
    for (remains, what) in [(true, "leaves a ruin"), (false, "cleans up")] {
        for (pace, when) in [(Work::default(), "at once"), (Work::polls(1), "later")] {
            let work = pace.ending(failing(remains));
            let row = Behaviour::new(format!("fails {when} and {what}"), move |broker| {
                broker.configure(|settings| settings.bind = work.clone());
            });
            rows.push(Behaviour { cleans_up: !remains, ..row });
        }
    }
    rows.push(Behaviour::new("fails to remove", |broker| {
        broker.configure(|settings| settings.unbind = Work::polls(1).ending(failing(true)));
    }));
    rows.push(Behaviour::new("one thing at a time", |broker| {
        asynchronous(broker);
        broker.configure(|settings| settings.strictly_serial = true);
    }));
    rows.push(Behaviour::new("the first and its removal fail after the work", |broker| {
        let oops = || Fault::After(RawAnswer::error(500, "", "words of the broker"));
        broker.fault(CallKind::Bind, oops());
        broker.fault(CallKind::Unbind, oops());
    }));
    rows
}

#[tokio::test]
async fn a_binding_survives_every_crash() {
    let mut matrix = Matrix::start(&[REGISTER, BASE], &[CREATE, ROTATE, DELETE]).await;
    matrix.try_rows(&main_rows(), &other_rows(), ACTIONS).await;
    matrix.finish("service bindings").await;
}

fn rotations() -> (Vec<Behaviour>, Vec<Behaviour>) {
    let main = vec![
        Behaviour::new("synchronous", |_| {}),
        Behaviour::new("asynchronous, credentials once", asynchronous).with("", once),
        Behaviour::new("the old one is kept", |broker| {
            let no = RawAnswer::error(400, "", "words of the broker");
            broker.fault(CallKind::Unbind, Fault::Instead(no));
        }),
        Behaviour::new("the first successor is lost", |broker| {
            broker.fault(CallKind::Bind, Fault::ResetAfter);
        }),
    ];
    let mut others = making(CallKind::Bind);
    others.extend(removing(CallKind::Unbind));
    for rows in [polling(CallKind::PollBinding), fetching(CallKind::GetBinding)] {
        // A broker that says 410 while it is still removing cannot be found out.
        let rows = rows.into_iter().filter(|row| !row.name.contains("410"));
        let rows = rows.map(|row| row.with("asynchronous", asynchronous));
        others.extend(rows.map(|row| row.with("credentials once", once)));
    }
    others.push(Behaviour::new("fails to make the successor", |broker| {
        broker.configure(|settings| settings.bind = Work::polls(1).ending(failing(true)));
    }));
    others.push(Behaviour::new("fails to remove the old one", |broker| {
        broker.configure(|settings| settings.unbind = Work::polls(1).ending(failing(true)));
    }));
    (main, others)
}

/// In the end there is one binding at the broker, its credentials are the secret's, and nothing is left over.
#[tokio::test]
async fn a_rotation_survives_every_crash() {
    let mut matrix = Matrix::start(&[REGISTER, BASE], &[ROTATE]).await.after(&[CREATE]);
    let (main, others) = rotations();
    matrix.try_rows(&main, &others, ACTIONS).await;
    matrix.finish("rotations").await;
}
