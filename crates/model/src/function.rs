//! A function: code, the image it runs on, and what it is given at each call.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Id, Kind, Name, Noun, Object, Phase,
    image::{Built, Image},
};

#[derive(Debug)]
pub enum Function {}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub image: Id<Image>,
    pub image_name: Name,
    /// Empty: the language's default for a single file (contract §4.5).
    pub handler: String,
    /// SHA-256 of the source archive, a blob.
    pub source: String,
    pub schema: Schemas,
    pub secrets: Vec<Name>,
    pub services: Vec<ServiceUse>,
    /// Milliseconds; 0 for the server's default.
    pub timeout_ms: u64,
    /// The id of this revision of the function, for clients of v0.1.22.
    pub faas_id: Uuid,
}

/// JSON schemas of input and output.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Schemas {
    pub input: Option<Value>,
    pub output: Option<Value>,
}

/// `INSTANCE[/BINDING][=ALIAS]` (design §4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceUse {
    pub instance: Name,
    /// Another binding than the instance's own.
    pub binding: Option<Name>,
    /// The key in `context.serviceBindings`; by default the instance's name.
    pub alias: Name,
}

impl ServiceUse {
    /// As it is written on a command line. `Err`: a fragment that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (target, alias) = match text.split_once('=') {
            Some((target, alias)) => (target, Some(alias)),
            None => (text, None),
        };
        let (instance, binding) = match target.split_once('/') {
            Some((instance, binding)) => (instance, Some(binding)),
            None => (target, None),
        };
        let name = |text: &str, what: &str| {
            text.parse::<Name>().map_err(|_| format!("{text:?} is not the name of {what}"))
        };
        let instance = name(instance, "a service instance")?;
        let binding = binding.map(|text| name(text, "a service binding")).transpose()?;
        let alias = alias.map(|text| name(text, "an alias")).transpose()?;
        Ok(Self { alias: alias.unwrap_or_else(|| instance.clone()), instance, binding })
    }
}

impl std::fmt::Display for ServiceUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.instance)?;
        if let Some(binding) = &self.binding {
            write!(f, "/{binding}")?;
        }
        if self.alias != self.instance {
            write!(f, "={}", self.alias)?;
        }
        Ok(())
    }
}

/// What its controller has learnt, and what it is about to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub observed_generation: u64,
    /// What calls use. Kept while an update is built, so that they go on with the previous revision.
    pub deployed: Option<Deployed>,
    pub failure: Option<String>,
    /// The image that the last build failed on: it is not tried again on the same one.
    pub failed_on: Option<Built>,
}

/// One built revision, complete: it needs neither image nor source to run (decision 12).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployed {
    pub faas_id: Uuid,
    /// `python3`.
    pub runtime: String,
    pub base_digest: String,
    /// Digest of the dependency layer: the image's, or one of the function's own manifest and its image's.
    pub dependencies: Option<String>,
    /// The image's dependency layer: with another one, the function is built again.
    pub image_layer: Option<String>,
    /// Digest of the code layer.
    pub code: String,
    /// The handler that will be called, defaults filled in.
    pub handler: String,
    pub timeout_ms: u64,
    pub schema: Schemas,
    pub secrets: Vec<Name>,
    pub services: Vec<ServiceUse>,
}

impl Noun for Function {
    const KIND: Kind = Kind::Function;
    type Spec = Spec;
    type Status = Status;
}

/// The status that clients see, and the one reason: the table of decision 13, as its test has it. A reason that is
/// no failure says what is waited for.
pub fn phase(function: &Object<Function>) -> (Phase, Option<String>) {
    let status = &function.status;
    let observed = status.observed_generation == function.meta.generation;
    if function.meta.deleting.is_some() {
        return (Phase::Deleting, None);
    }
    match (&status.failure, &status.deployed, observed) {
        (Some(failure), _, true) => (Phase::Error, Some(failure.clone())),
        (None, Some(_), true) => (Phase::Ready, None),
        (_, Some(_), false) => (Phase::Updating, None),
        // Waiting for its image says why, and is no failure (decision 13).
        (reason, None, false) => (Phase::Initialized, reason.clone()),
        (None, None, true) => (Phase::Initialized, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_used_by_name_with_a_binding_and_an_alias_if_wanted() {
        let check = |text: &str, expect: Option<(&str, Option<&str>, &str)>| {
            let found = ServiceUse::parse(text).ok();
            let found = found.as_ref().map(|used| {
                let binding = used.binding.as_ref().map(Name::as_str);
                assert_eq!(used.to_string().trim_end(), text.trim_end());
                (used.instance.as_str(), binding, used.alias.as_str())
            });
            assert_eq!(found, expect, "{text}");
        };
        check("db", Some(("db", None, "db")));
        check("db=main", Some(("db", None, "main")));
        check("db/reader=ro", Some(("db", Some("reader"), "ro")));
        check("", None);
        check("db=", None);
        check("d b", None);
    }
}
