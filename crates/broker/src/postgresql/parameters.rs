//! The parameters of an instance: their JSON schemas, reading them from requests, keeping them.
//!
//! A platform should have checked them against the schema. What a request really brings is checked
//! here all the same, all faults at once.

use std::collections::BTreeSet;

use dispatch_osb::broker::Failure;
use dispatch_osb::types::JsonObject;
use serde_json::{Map, Value, json};

use super::plan::{PLANS, Place, Plan};

/// The least and the most GiB of storage.
const STORAGE: std::ops::RangeInclusive<u64> = 1..=64;

/// Shown in tables and in refusals; `docs/brokers.md` says what happens at the limit.
const STORAGE_MEANING: &str = "limit of the disk in GiB; can be raised later";

const EXTENSIONS_MEANING: &str =
    "what the database has in its schema public; an update adds, and removes none";

/// What can be had of this broker, as far as that depends on where it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offer {
    /// The extensions of the shared server.
    pub(super) shared: Vec<String>,
    /// The extensions of servers of one's own, where there can be such servers.
    pub(super) dedicated: Option<Vec<String>>,
}

impl Offer {
    /// The plans that are offered.
    pub(super) fn plans(&self) -> impl Iterator<Item = &'static Plan> {
        PLANS.iter().filter(|plan| plan.place == Place::Shared || self.dedicated.is_some())
    }

    fn extensions(&self, plan: &Plan) -> &[String] {
        match plan.place {
            Place::Shared => &self.shared,
            Place::Dedicated => self.dedicated.as_deref().unwrap_or_default(),
        }
    }
}

/// What an instance was asked to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) extensions: BTreeSet<String>,
    /// GiB. Only of plans whose disk is limited.
    pub(super) storage: Option<u64>,
}

impl Parameters {
    /// Those of a provision request.
    pub(super) fn read(
        plan: &Plan,
        offer: &Offer,
        given: Option<&JsonObject>,
    ) -> Result<Self, Failure> {
        let storage = (plan.place == Place::Dedicated).then_some(*STORAGE.start());
        Self { extensions: BTreeSet::new(), storage }.changed(plan, offer, given)
    }

    /// After an update of an instance that will have that plan.
    pub(super) fn changed(
        &self,
        plan: &Plan,
        offer: &Offer,
        given: Option<&JsonObject>,
    ) -> Result<Self, Failure> {
        let mut after = self.clone();
        let mut faults = Vec::new();
        for (key, value) in given.into_iter().flatten() {
            match (key.as_str(), plan.place) {
                ("extensions", _) => {
                    after.add_extensions(value, offer.extensions(plan), &mut faults)
                }
                ("storage", Place::Dedicated) => after.set_storage(value, &mut faults),
                _ => faults.push(format!("parameters.{key}: unknown")),
            }
        }
        match faults.is_empty() {
            true => Ok(after),
            false => {
                faults.sort();
                Err(Failure::bad_request(faults.join("; ")))
            }
        }
    }

    fn set_storage(&mut self, value: &Value, faults: &mut Vec<String>) {
        match value.as_u64().filter(|gib| STORAGE.contains(gib)) {
            Some(gib) => self.storage = Some(gib),
            None => faults.push(format!(
                "parameters.storage: not an integer from {} to {} (GiB)",
                STORAGE.start(),
                STORAGE.end()
            )),
        }
    }

    fn add_extensions(&mut self, value: &Value, offered: &[String], faults: &mut Vec<String>) {
        let Some(names) = value.as_array() else {
            faults.push("parameters.extensions: not a list of names".to_owned());
            return;
        };
        for (at, name) in names.iter().enumerate() {
            match name.as_str().filter(|name| offered.iter().any(|offered| offered == name)) {
                Some(name) => drop(self.extensions.insert(name.to_owned())),
                None => faults
                    .push(format!("parameters.extensions.{at}: not one of {}", offered.join(", "))),
            }
        }
    }

    /// Those of the books.
    pub(super) fn stored(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let names = value.get("extensions").and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        Self { extensions: names.collect(), storage: value.get("storage").and_then(Value::as_u64) }
    }

    /// For the books, and for who fetches the instance.
    pub(super) fn to_object(&self) -> JsonObject {
        let mut object = Map::new();
        if !self.extensions.is_empty() {
            object.insert("extensions".to_owned(), json!(self.extensions));
        }
        if let Some(gib) = self.storage {
            object.insert("storage".to_owned(), json!(gib));
        }
        object
    }

    /// For the books: equal for equal parameters.
    pub(super) fn to_text(&self) -> String {
        Value::Object(self.to_object()).to_string()
    }
}

/// The JSON schema of a plan's parameters.
pub(super) fn schema(plan: &Plan, offer: &Offer, title: &str) -> Value {
    let mut properties = Map::new();
    let extensions = offer.extensions(plan);
    if !extensions.is_empty() {
        let list = json!({
            "type": "array",
            "description": EXTENSIONS_MEANING,
            "items": { "type": "string", "enum": extensions },
            "uniqueItems": true,
            "default": [],
        });
        properties.insert("extensions".to_owned(), list);
    }
    if plan.place == Place::Dedicated {
        let storage = json!({
            "type": "integer",
            "description": STORAGE_MEANING,
            "minimum": STORAGE.start(),
            "maximum": STORAGE.end(),
            "default": STORAGE.start(),
        });
        properties.insert("storage".to_owned(), storage);
    }
    json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": title,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::plan;
    use super::*;

    fn offer() -> Offer {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Offer { shared: names(&["citext"]), dedicated: Some(names(&["citext", "hstore"])) }
    }

    fn check(plan_id: &str, given: Value, expect: Result<Value, &str>) {
        let plan = plan::plan(plan_id).expect("a plan");
        let got = Parameters::read(plan, &offer(), given.as_object());
        match (got, expect) {
            (Ok(got), Ok(expect)) => {
                assert_eq!(Value::Object(got.to_object()), expect, "{given}");
                assert_eq!(Parameters::stored(&got.to_text()), got);
            }
            (Err(failure), Err(expect)) => {
                assert_eq!(failure.description.as_deref(), Some(expect), "{given}");
            }
            (got, expect) => panic!("{given}: {got:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn parameters_are_read_or_refused_with_all_their_faults() {
        let (small, own) = (plan::SHARED_SMALL_ID, plan::DEDICATED_ID);
        check(small, json!({}), Ok(json!({})));
        check(own, json!({}), Ok(json!({"storage": 1})));
        check(own, json!({"storage": 64}), Ok(json!({"storage": 64})));
        let both = json!({"extensions": ["hstore", "citext"], "storage": 2});
        check(own, both, Ok(json!({"extensions": ["citext", "hstore"], "storage": 2})));
        let storage = "parameters.storage: not an integer from 1 to 64 (GiB)";
        for bad in [json!(0), json!(65), json!(-1), json!(1.5), json!("2"), json!(null)] {
            check(own, json!({ "storage": bad }), Err(storage));
        }
        check(small, json!({"storage": 1}), Err("parameters.storage: unknown"));
        let known = "parameters.extensions.1: not one of citext";
        check(small, json!({"extensions": ["citext", "hstore"]}), Err(known));
        check(
            small,
            json!({"extensions": "citext"}),
            Err("parameters.extensions: not a list of names"),
        );
        let faults = "parameters.extensions.0: not one of citext, hstore; \
            parameters.storage: not an integer from 1 to 64 (GiB); parameters.storge: unknown";
        check(own, json!({"storge": 1, "storage": 0, "extensions": [7]}), Err(faults));
    }
}
