//! What the command line knows of each noun: its words, its operations, its columns, and when it has settled.
//! What is done with a noun is in `commands/<verb>`.

pub mod api;
pub mod base_image;
pub mod function;
pub mod image;
pub mod orphan;
pub mod run;
pub mod secret;
pub mod service_binding;
pub mod service_broker;
pub mod service_class;
pub mod service_instance;

use std::{borrow::Cow, time::Duration};

use dispatch_api::{Operation, service_broker::Condition, service_instance::LastOperation};
use serde::de::DeserializeOwned;

use crate::output::clean;

/// A noun as a type: the wire type with everything the verbs need of it.
pub trait Noun: DeserializeOwned {
    const WORDS: Words;
    const OPERATIONS: Operations;
    const HEADER: &'static [&'static str];
    /// Columns that `-o wide` adds.
    const WIDE: &'static [&'static str];

    fn name(&self) -> Cow<'_, str>;
    /// As many cells as `HEADER` has titles.
    fn cells(&self) -> Vec<String>;
    /// As many cells as `WIDE` has titles.
    fn wide(&self) -> Vec<String>;
    /// What else is known, for `describe` alone: title and text.
    fn more(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
    /// A line under every row.
    const RULED: bool = false;
    /// What else is worth knowing once it is ready, on the last line of progress.
    fn detail(&self) -> String {
        String::new()
    }
    /// How much of the time until it was ready a broker had.
    fn broker_took(&self) -> Option<Duration> {
        None
    }
    /// How long making such a one usually takes, by those that there are; None if they do not tell.
    const USUAL: Option<Usual<Self>> = None;
    /// The last lines of what was done for it, shown when that failed.
    fn log(&self) -> &[String] {
        &[]
    }
    /// Where it stands; kinds that are ready at once need not say.
    fn state(&self) -> State {
        State::ready()
    }
}

/// How long making such a one takes, by those that there are.
pub type Usual<N> = fn(&N, &[N]) -> Option<Duration>;

/// What a noun is called. Scripts read these, so they are v0.1.22's wherever it had the noun.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// On the command line: `serviceinstance`.
    pub command: &'static str,
    /// In `Created …: NAME`.
    pub created: &'static str,
    /// In `Deleted …: NAME`.
    pub deleted: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub struct Operations {
    pub list: Operation,
    pub get: Option<Operation>,
    pub delete: Option<Operation>,
}

/// Where an object stands, for waiting and for the progress line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub status: String,
    /// Nothing more will happen until somebody acts.
    pub at_rest: bool,
    /// It can be used.
    pub good: bool,
    /// What is going on: `provisioning`.
    pub doing: String,
    /// Whose words, and the words: `osba: "creating firewall rules"`.
    pub says: String,
    /// What a person may do about an error.
    pub advice: Option<String>,
}

impl State {
    pub fn ready() -> Self {
        Self::of("READY", None)
    }

    /// From `status` and `reason` alone.
    pub fn of(status: &str, reason: Option<&Vec<String>>) -> Self {
        Self {
            status: status.to_owned(),
            at_rest: matches!(status, "READY" | "ERROR" | "DELETED" | ""),
            good: matches!(status, "READY" | ""),
            doing: status.to_lowercase(),
            says: reason.map(|lines| clean::line(&lines.join("; "))).unwrap_or_default(),
            advice: None,
        }
    }

    /// Says what is going on while it is not at rest.
    #[must_use]
    pub fn doing(mut self, words: &str) -> Self {
        if !self.at_rest && self.status != "DELETING" {
            words.clone_into(&mut self.doing);
        }
        self
    }

    /// Adds what the broker is doing. Its words count as long as there is no reason, which are its words too.
    #[must_use]
    pub fn with_operation(mut self, broker: &str, operation: Option<&LastOperation>) -> Self {
        let Some(operation) = operation else { return self };
        // What is being removed is told of the last thing that was done to it until the broker is asked.
        let ends = matches!(operation.kind.as_str(), "delete" | "unbind");
        let counts = ends || self.status != "DELETING";
        if let Some(words) = doing(&operation.kind).filter(|_| counts && !self.at_rest) {
            words.clone_into(&mut self.doing);
        }
        if self.says.is_empty() && counts && !self.good {
            self.says = clean::line(&operation.description);
        }
        if !self.says.is_empty() {
            let speaker = if broker.is_empty() { "broker" } else { broker };
            self.says = format!("{}: \"{}\"", clean::line(speaker), self.says);
        }
        self
    }
}

/// For the `Last operation` column.
pub fn operation(operation: Option<&LastOperation>) -> String {
    let Some(operation) = operation else { return String::new() };
    let what = format!("{} {}", operation.kind, operation.state);
    if operation.description.is_empty() {
        return what;
    }
    format!("{what}: {}", operation.description)
}

fn doing(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "create" => "provisioning",
        "update" => "updating",
        "delete" => "deprovisioning",
        "bind" => "binding",
        "unbind" => "unbinding",
        _ => return None,
    })
}

/// For the `Reason` column: reasons, then what conditions say.
pub fn reasons(reason: Option<&Vec<String>>, conditions: &[Condition]) -> String {
    let said =
        conditions.iter().map(|condition| format!("{}: {}", condition.kind, condition.message));
    reason.into_iter().flatten().cloned().chain(said).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_words_are_shown_while_it_works_and_when_it_failed() {
        let check =
            |status: &str, kind: &str, reason: Option<&str>, expect: (&str, &str, bool, bool)| {
                let operation = LastOperation {
                    kind: kind.to_owned(),
                    state: String::new(),
                    description: "creating\u{7} rules".into(),
                    since: 0,
                    took_ms: None,
                };
                let reason = reason.map(|text| vec![text.to_owned()]);
                let state =
                    State::of(status, reason.as_ref()).with_operation("osba", Some(&operation));
                let got = (state.doing.as_str(), state.says.as_str(), state.at_rest, state.good);
                assert_eq!(got, expect, "{status} {kind}");
            };
        check(
            "INITIALIZED",
            "create",
            None,
            ("provisioning", "osba: \"creating rules\"", false, false),
        );
        check("CREATING", "create", Some("busy"), ("provisioning", "osba: \"busy\"", false, false));
        check("DELETING", "create", None, ("deleting", "", false, false));
        check("DELETING", "bind", Some("in use"), ("deleting", "osba: \"in use\"", false, false));
        check(
            "DELETING",
            "delete",
            None,
            ("deprovisioning", "osba: \"creating rules\"", false, false),
        );
        check("READY", "create", None, ("ready", "", true, true));
        check(
            "ERROR",
            "create",
            Some("quota exceeded"),
            ("error", "osba: \"quota exceeded\"", true, false),
        );
    }
}
