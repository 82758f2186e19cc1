//! The rows of the matrix: what a broker may do.

use std::{fmt, sync::Arc};

use dispatch_osb::fake::{CallKind, FakeBroker, Fault, RawAnswer};

/// What a broker does in one row.
#[derive(Clone)]
pub struct Behaviour {
    pub name: String,
    pub set: Arc<dyn Fn(&FakeBroker) + Send + Sync>,
    /// It lets requests hang, so that ours must time out.
    pub hangs: bool,
    /// It removes by itself what it failed to make.
    pub cleans_up: bool,
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Behaviour {
    pub fn new(name: impl Into<String>, set: impl Fn(&FakeBroker) + Send + Sync + 'static) -> Self {
        Self { name: name.into(), set: Arc::new(set), hangs: false, cleans_up: false }
    }

    /// The same while the broker is set up differently.
    pub fn with(self, name: &str, first: impl Fn(&FakeBroker) + Send + Sync + 'static) -> Self {
        let set = Arc::clone(&self.set);
        let both = move |broker: &FakeBroker| {
            first(broker);
            set(broker);
        };
        Self { name: format!("{name}, {}", self.name), set: Arc::new(both), ..self }
    }

    fn once(call: CallKind, name: &str, fault: Fault) -> Self {
        let name = format!("{call:?}: {name}, once");
        Self::new(name, move |broker| broker.fault(call, fault.clone()))
    }

    fn from_then_on(call: CallKind, name: &str, fault: Fault) -> Self {
        let name = format!("{call:?}: {name}, from then on");
        Self::new(name, move |broker| broker.always(call, Some(fault.clone())))
    }

    fn both(call: CallKind, name: &str, fault: Fault) -> [Self; 2] {
        [Self::once(call, name, fault.clone()), Self::from_then_on(call, name, fault)]
    }
}

fn error(status: u16, code: &str) -> RawAnswer {
    RawAnswer::error(status, code, "words of the broker")
}

fn instead(status: u16, code: &str) -> Fault {
    Fault::Instead(error(status, code))
}

fn after(answer: RawAnswer) -> Fault {
    Fault::After(answer)
}

/// Table A0.1, and what the network adds to it, for the call that makes something.
pub fn making(call: CallKind) -> Vec<Behaviour> {
    let rows = [
        ("400", instead(400, "")),
        ("409", instead(409, "")),
        ("AsyncRequired", instead(422, "AsyncRequired")),
        ("ConcurrencyError", instead(422, "ConcurrencyError")),
        ("401", instead(401, "")),
        ("429", instead(429, "")),
        ("500", instead(500, "")),
        ("500 after the work", after(error(500, ""))),
        ("504 after the work", after(error(504, ""))),
        ("malformed 200", after(RawAnswer::new(200, "<html>"))),
        ("malformed 201", after(RawAnswer::new(201, "[]"))),
        ("malformed 202", after(RawAnswer::new(202, r#"{"operation": 7}"#))),
        ("204", after(RawAnswer::empty(204))),
        ("reset before the work", Fault::ResetBefore),
        ("reset after the work", Fault::ResetAfter),
        ("reset in the body", Fault::ResetInBody),
    ];
    let mut all: Vec<Behaviour> =
        rows.into_iter().flat_map(|(name, fault)| Behaviour::both(call, name, fault)).collect();
    for (name, fault) in [("hangs first", Fault::HangBefore), ("hangs then", Fault::HangAfter)] {
        all.push(Behaviour { hangs: true, ..Behaviour::once(call, name, fault) });
    }
    all
}

/// Table A0.4 for the call that takes it away.
pub fn removing(call: CallKind) -> Vec<Behaviour> {
    let rows = [
        ("400", instead(400, "")),
        ("404", instead(404, "")),
        ("ConcurrencyError", instead(422, "ConcurrencyError")),
        ("401", instead(401, "")),
        ("500", instead(500, "")),
        ("500 after the work", after(error(500, ""))),
        ("malformed 200", after(RawAnswer::new(200, "ok"))),
        ("malformed 202", after(RawAnswer::new(202, "ok"))),
        ("reset after the work", Fault::ResetAfter),
        ("reset in the body", Fault::ResetInBody),
    ];
    let mut all: Vec<Behaviour> =
        rows.into_iter().flat_map(|(name, fault)| Behaviour::both(call, name, fault)).collect();
    all.push(Behaviour { hangs: true, ..Behaviour::once(call, "hangs then", Fault::HangAfter) });
    all
}

/// Table A0.5 for polls. The broker must be set to work asynchronously.
pub fn polling(call: CallKind) -> Vec<Behaviour> {
    let rows = [
        ("400", instead(400, "")),
        ("404", instead(404, "")),
        ("410", instead(410, "")),
        ("500", instead(500, "")),
        ("an unknown state", Fault::Instead(RawAnswer::new(200, r#"{"state": "fine"}"#))),
        ("500 after the work", after(error(500, ""))),
        ("reset in the body", Fault::ResetInBody),
    ];
    rows.into_iter().flat_map(|(name, fault)| Behaviour::both(call, name, fault)).collect()
}

/// Table A0.6.
pub fn fetching(call: CallKind) -> Vec<Behaviour> {
    let rows = [
        ("404", instead(404, "")),
        ("ConcurrencyError", instead(422, "ConcurrencyError")),
        ("500", instead(500, "")),
        ("malformed 200", after(RawAnswer::new(200, "[]"))),
        ("reset in the body", Fault::ResetInBody),
    ];
    rows.into_iter().flat_map(|(name, fault)| Behaviour::both(call, name, fault)).collect()
}
