//! Checks of a catalogue: everything that is wrong with it at once (OSB-030 … OSB-051).
//!
//! Pure and structural: whether a schema can be used is asked of the platform, parameters are not held against it
//! here, and clashes between
//! brokers or with earlier catalogues are the platform's to find. What a broker must get right is
//! a [`Fault`] and refuses the catalogue; what only costs a convenience is a warning, and the
//! field is left out.

mod plan;
mod report;
mod schema;
mod semver;
mod service;

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;

pub use schema::{Draft, MAX_SCHEMA_BYTES, draft_of};
pub use service::MAX_NAME_BYTES;

use crate::json::kind;
use crate::types::Service;
use report::{Place, Report};

/// The most faults that are listed, and the most warnings; one more line counts the rest.
pub const MAX_FAULTS: usize = 500;

/// A catalogue that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Validated {
    /// Without `dashboard_client`, which holds a secret (OSB-047), and without unusable fields.
    pub services: Vec<Service>,
    pub warnings: Vec<Fault>,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// For programs: `services[0].plans[1].id`.
    pub path: String,
    /// For people; names the service and the plan.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The catalogue as a whole has no path.
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{} ({path})", self.message),
        }
    }
}

/// Why parameters cannot be held against a schema, if so: the platform has the validator.
pub type SchemaCheck<'a> = &'a dyn Fn(&Value) -> Result<(), String>;

/// Checks what a broker answered to `GET /v2/catalog`.
pub fn validate(document: &Value, usable: SchemaCheck<'_>) -> Result<Validated, Vec<Fault>> {
    let mut report = Report::default();
    let root = Place::root();
    let mut services = Vec::new();
    match document.get("services") {
        Some(Value::Array(list)) => services = check_services(list, usable, &mut report),
        Some(other) => {
            report.fault(&root.field("services"), format!("is {}, not an array", kind(other)));
        }
        None if document.is_object() => report.fault(&root.field("services"), "is missing"),
        None => report.fault(&root, format!("is {}, not an object", kind(document))),
    }
    report.finish().map(|warnings| Validated { services, warnings })
}

fn check_services(list: &[Value], usable: SchemaCheck<'_>, report: &mut Report) -> Vec<Service> {
    if list.is_empty() {
        report.warn(&Place::root().field("services"), "is empty: nothing is offered");
    }
    let mut seen = Seen::default();
    list.iter()
        .enumerate()
        .filter_map(|(index, value)| service::check(index, value, usable, &mut seen, report))
        .collect()
}

/// Where each id and name was seen first.
#[derive(Debug, Default)]
struct Seen {
    service_ids: HashMap<String, String>,
    service_names: HashMap<String, String>,
    plan_ids: HashMap<String, String>,
}

/// Notes a value that has to be unique; compared byte by byte (OSB-033).
fn unique(
    seen: &mut HashMap<String, String>,
    value: Option<&str>,
    place: &Place,
    report: &mut Report,
) {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return };
    if let Some(first) = seen.get(value) {
        report.fault(place, format!("is not unique: it is also that of {first}"));
    } else {
        seen.insert(value.to_owned(), place.path().to_owned());
    }
}

#[cfg(test)]
mod tests;
