//! APIs in tables (contract §3.2): several values of one column below each other, a line under each API.

use std::borrow::Cow;

use dispatch_api::{Operation, api::Api};

use crate::nouns::{Noun, Operations, State, Words};

impl Noun for Api {
    const WORDS: Words = Words { command: "api", created: "api", deleted: "api" };
    const OPERATIONS: Operations = Operations {
        list: Operation::ListApis,
        get: Some(Operation::GetApi),
        delete: Some(Operation::DeleteApi),
    };
    const HEADER: &'static [&'static str] =
        &["Name", "Function", "Protocol", "Method", "Domain", "Path", "Auth", "Status", "Enabled"];
    const WIDE: &'static [&'static str] = &["ID", "CORS"];
    const RULED: bool = true;

    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn cells(&self) -> Vec<String> {
        let lines = |list: &Option<Vec<String>>| list.as_deref().unwrap_or_default().join("\n");
        vec![
            self.name.clone(),
            self.function.clone(),
            lines(&self.protocols),
            lines(&self.methods),
            lines(&self.hosts),
            lines(&self.uris),
            self.authentication.clone(),
            self.status.clone(),
            self.enabled.to_string(),
        ]
    }

    fn wide(&self) -> Vec<String> {
        vec![self.id.to_string(), self.cors.to_string()]
    }

    fn state(&self) -> State {
        State::of(&self.status, None)
    }
}
