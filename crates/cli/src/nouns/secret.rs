//! Secrets in tables. Values are never a column.

use std::borrow::Cow;

use dispatch_api::{Operation, secret::Secret};

use crate::nouns::{Noun, Operations, Words};

impl Noun for Secret {
    const WORDS: Words = Words { command: "secret", created: "secret", deleted: "secret" };
    const OPERATIONS: Operations = Operations {
        list: Operation::ListSecrets,
        get: Some(Operation::GetSecret),
        delete: Some(Operation::DeleteSecret),
    };
    const HEADER: &'static [&'static str] = &["ID", "Name", "Content"];
    const WIDE: &'static [&'static str] = &["Keys"];

    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string(), self.name.clone(), "<hidden>".to_owned()]
    }

    fn wide(&self) -> Vec<String> {
        vec![self.secrets.keys().cloned().collect::<Vec<_>>().join("\n")]
    }
}
