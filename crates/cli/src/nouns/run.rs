//! Runs in tables (contract §3.2). Their name is their id.

use std::borrow::Cow;

use dispatch_api::{Operation, run::Run};

use crate::{
    clock,
    nouns::{Noun, Operations, Words, reasons},
    output::time,
};

impl Noun for Run {
    const WORDS: Words = Words { command: "run", created: "run", deleted: "run" };
    const OPERATIONS: Operations =
        Operations { list: Operation::ListRuns, get: Some(Operation::GetRun), delete: None };
    const HEADER: &'static [&'static str] = &["ID", "Function", "Status", "Started", "Finished"];
    const WIDE: &'static [&'static str] = &["Error", "Reason"];

    fn name(&self) -> Cow<'_, str> {
        self.name.to_string().into()
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.to_string(),
            self.function_name.clone(),
            self.status.clone(),
            time::unix_date(self.executed_time, &clock::zone()),
            time::unix_date(self.finished_time, &clock::zone()),
        ]
    }

    fn wide(&self) -> Vec<String> {
        let error = self.error.as_ref().map(|error| error.kind.clone());
        vec![error.unwrap_or_default(), reasons(self.reason.as_ref(), &[])]
    }
}
