//! The answers to a file of documents.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

use crate::{documents::Kind, error::CliError, output::json, session::Session};

/// What `--json` prints at the end: the answers by kind, every group of v0.1.22 present.
#[derive(Debug, Default)]
pub struct Answers(BTreeMap<&'static str, Vec<Box<RawValue>>>);

/// In the order in which they were always printed; later ones follow when there is something in them.
const GROUPS: &[&str] = &[
    "api",
    "baseImages",
    "images",
    "driverTypes",
    "drivers",
    "subscriptions",
    "functions",
    "secrets",
    "policies",
    "serviceInstances",
    "serviceaccounts",
    "organizations",
];

impl Answers {
    pub fn add(&mut self, kind: Kind, raw: Box<RawValue>) {
        self.0.entry(kind.spec().group).or_default().push(raw);
    }

    pub fn print(&self, session: &Session) -> Result<(), CliError> {
        if !session.console.is_for_programs() {
            return Ok(());
        }
        let later = self.0.keys().filter(|group| !GROUPS.contains(group));
        let members = GROUPS.iter().chain(later).map(|group| {
            let list = self.0.get(group).map(|list| {
                let list: Vec<String> = list.iter().map(|raw| json::sorted_inside(raw)).collect();
                format!("[{}]", list.join(","))
            });
            format!("{}:{}", Value::from(*group), list.unwrap_or_else(|| "null".to_owned()))
        });
        let object = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
        session.console.json(&object)
    }
}
