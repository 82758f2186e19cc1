//! Orphans in tables: what may be left over at a broker and is being removed.

use std::borrow::Cow;

use dispatch_api::{Operation, orphan::Orphan};

use crate::{
    clock,
    nouns::{Noun, Operations, Words},
    output::time,
};

impl Noun for Orphan {
    const WORDS: Words = Words { command: "orphan", created: "orphan", deleted: "orphan" };
    const OPERATIONS: Operations =
        Operations { list: Operation::ListOrphans, get: None, delete: None };
    const HEADER: &'static [&'static str] =
        &["Broker", "Instance ID", "Binding ID", "Cause", "Tries", "Next try", "Status"];
    const WIDE: &'static [&'static str] = &["ID", "Last error", "Created Date"];

    fn name(&self) -> Cow<'_, str> {
        self.instance_id.as_str().into()
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.broker.clone(),
            self.instance_id.clone(),
            self.binding_id.clone().unwrap_or_default(),
            self.cause.clone(),
            self.tries.to_string(),
            time::unix_date(self.next_try_time, &clock::zone()),
            self.status.clone(),
        ]
    }

    fn wide(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.last_error.clone().unwrap_or_default(),
            time::unix_date(self.created_time, &clock::zone()),
        ]
    }
}
