//! Service bindings in tables, and how far a rotation is.

use std::borrow::Cow;

use dispatch_api::{Operation, service_binding::ServiceBinding};

use crate::{
    clock,
    nouns::{Noun, Operations, State, Words, operation, reasons},
    output::time,
};

impl Noun for ServiceBinding {
    const WORDS: Words =
        Words { command: "servicebinding", created: "servicebinding", deleted: "service binding" };
    const OPERATIONS: Operations = Operations {
        list: Operation::ListServiceBindings,
        get: Some(Operation::GetServiceBinding),
        delete: Some(Operation::DeleteServiceBinding),
    };
    const HEADER: &'static [&'static str] =
        &["Name", "Instance", "Secret", "Version", "Status", "Created Date"];
    const WIDE: &'static [&'static str] =
        &["ID", "Keys", "Endpoints", "Function", "Expires", "Last operation", "Reason"];

    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.instance.clone(),
            self.secret.clone(),
            self.credentials_version.to_string(),
            self.status.clone(),
            time::unix_date(self.created_time, &clock::zone()),
        ]
    }

    fn wide(&self) -> Vec<String> {
        let endpoints = self.endpoints.iter().map(|place| format!("{}:{}", place.host, place.port));
        let expires = self.expires_time.map(|at| time::unix_date(at, &clock::zone()));
        vec![
            self.id.to_string(),
            self.keys.join("\n"),
            endpoints.collect::<Vec<_>>().join("\n"),
            self.function.clone(),
            expires.unwrap_or_default(),
            operation(self.last_operation.as_ref()),
            reasons(self.reason.as_ref(), &[]),
        ]
    }

    fn detail(&self) -> String {
        let operation =
            self.last_operation.as_ref().map(|operation| operation.description.as_str());
        let words = operation.filter(|words| !words.is_empty()).map(|words| format!(" · {words}"));
        format!("credentials version {}{}", self.credentials_version, words.unwrap_or_default())
    }

    fn state(&self) -> State {
        let state = State::of(&self.status, self.reason.as_ref());
        let state = if self.status == "UPDATING" { state } else { state.doing("binding") };
        state.with_operation("", self.last_operation.as_ref())
    }
}
