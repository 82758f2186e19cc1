//! Functions in tables (contract §3.2).

use std::borrow::Cow;

use dispatch_api::{Operation, function::Function};

use crate::{
    clock,
    nouns::{Noun, Operations, State, Words, reasons},
    output::time,
};

impl Noun for Function {
    const WORDS: Words = Words { command: "function", created: "function", deleted: "function" };
    const OPERATIONS: Operations = Operations {
        list: Operation::ListFunctions,
        get: Some(Operation::GetFunction),
        delete: Some(Operation::DeleteFunction),
    };
    const HEADER: &'static [&'static str] = &["Name", "FunctionImage", "Status", "Created Date"];
    const WIDE: &'static [&'static str] =
        &["ID", "Image", "Handler", "Services", "Secrets", "Timeout", "Confinement", "Reason"];

    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.function_image_url.clone(),
            self.status.clone(),
            time::unix_date(self.created_time, &clock::zone()),
        ]
    }

    fn wide(&self) -> Vec<String> {
        let lines = |list: &Option<Vec<String>>| list.as_deref().unwrap_or_default().join("\n");
        let timeout = match self.timeout {
            0 => String::new(),
            milliseconds => format!("{milliseconds} ms"),
        };
        vec![
            self.id.to_string(),
            self.image.clone(),
            self.handler.clone(),
            lines(&self.services),
            lines(&self.secrets),
            timeout,
            self.confinement.replace("; ", "\n"),
            reasons(self.reason.as_ref(), &[]),
        ]
    }

    fn state(&self) -> State {
        let doing = match (self.status.as_str(), &self.reason) {
            // Only what waits says why.
            ("INITIALIZED", Some(_)) => "waiting for its image",
            ("INITIALIZED", None) => "about to be built",
            _ => "building",
        };
        State::of(&self.status, self.reason.as_ref()).doing(doing)
    }
}
