//! Service classes in tables (contract §3.2).

use std::borrow::Cow;

use dispatch_api::{Operation, service_class::ServiceClass};

use crate::{
    nouns::{Noun, Operations, State, Words, reasons},
    output::clean,
};

impl Noun for ServiceClass {
    const WORDS: Words =
        Words { command: "serviceclass", created: "serviceclass", deleted: "service class" };
    const OPERATIONS: Operations = Operations {
        list: Operation::ListServiceClasses,
        get: Some(Operation::GetServiceClass),
        delete: Some(Operation::DeleteServiceClass),
    };
    const HEADER: &'static [&'static str] = &["Name", "Broker", "Bindable", "Plans", "Status"];
    const WIDE: &'static [&'static str] = &["ID", "Enabled", "Description", "Reason"];

    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.broker.clone(),
            self.bindable.to_string(),
            self.plans.iter().map(|plan| plan.name.clone()).collect::<Vec<_>>().join("\n"),
            // What could be enabled is listed when it is asked for.
            if self.enabled { self.status.clone() } else { "AVAILABLE".to_owned() },
        ]
    }

    fn wide(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.enabled.to_string(),
            clean::line(&self.description),
            reasons(self.reason.as_ref(), &[]),
        ]
    }

    fn state(&self) -> State {
        State::of(&self.status, self.reason.as_ref())
    }
}
