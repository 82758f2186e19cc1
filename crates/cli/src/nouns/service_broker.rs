//! Service brokers in tables, and when one has been registered.

use std::borrow::Cow;

use dispatch_api::{Operation, service_broker::ServiceBroker};

use crate::{
    clock,
    nouns::{Noun, Operations, State, Words, reasons},
    output::time,
};

impl Noun for ServiceBroker {
    const WORDS: Words =
        Words { command: "servicebroker", created: "servicebroker", deleted: "service broker" };
    const OPERATIONS: Operations = Operations {
        list: Operation::ListServiceBrokers,
        get: Some(Operation::GetServiceBroker),
        delete: Some(Operation::DeleteServiceBroker),
    };
    const HEADER: &'static [&'static str] = &["Name", "URL", "Classes", "Status", "Created Date"];
    const WIDE: &'static [&'static str] = &["ID", "Login", "API", "Catalogue read", "Reason"];

    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn cells(&self) -> Vec<String> {
        let enabled = self.service_classes.iter().filter(|(_, class)| class.enabled);
        vec![
            self.name.clone(),
            self.builtin
                .as_ref()
                .map_or_else(|| self.url.clone(), |kind| format!("builtin {kind}")),
            enabled.map(|(name, _)| name.clone()).collect::<Vec<_>>().join("\n"),
            self.status.clone(),
            time::unix_date(self.created_time, &clock::zone()),
        ]
    }

    fn wide(&self) -> Vec<String> {
        let login = match &self.authentication.secret {
            Some(secret) => format!("{} from secret {secret}", self.authentication.kind),
            None => self.authentication.kind.clone(),
        };
        let catalog = self.catalog.as_ref();
        let read = catalog.map(|catalog| time::unix_date(catalog.fetched_time, &clock::zone()));
        vec![
            self.id.to_string(),
            login,
            catalog.map(|catalog| catalog.api_version.clone()).unwrap_or_default(),
            read.unwrap_or_default(),
            reasons(self.reason.as_ref(), &self.conditions),
        ]
    }

    fn more(&self) -> Vec<(&'static str, String)> {
        let plans = self.service_classes.iter().map(|(name, class)| {
            let off = if class.enabled { "" } else { " (not enabled)" };
            format!("{name}: {}{off}", class.plans.join(", "))
        });
        let warnings = self.catalog.as_ref().map(|catalog| catalog.warnings.join("\n"));
        let parameters = self.parameters.as_ref().map(ToString::to_string);
        vec![
            ("Plans", plans.collect::<Vec<_>>().join("\n")),
            ("Parameters", parameters.unwrap_or_default()),
            ("Warnings", warnings.unwrap_or_default()),
        ]
    }

    fn state(&self) -> State {
        let state = State::of(&self.status, self.reason.as_ref());
        let mut state = state.doing("reading the catalogue");
        state.advice = Some(format!("try again: dispatch refresh servicebroker {}", self.name));
        state
    }
}
