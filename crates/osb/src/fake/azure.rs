//! A catalogue like the one in which the first Dispatch found its databases: one class, two plans without schemas, and
//! a server that takes ten minutes to come, with words on the way.
//!
//! The databases behind it are whatever [`Backing`] makes; the time is that of [`Settings::time`].

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::backing::Backing;
use super::settings::{Pace, Settings, Time, Work};
use crate::types::Catalog;

/// What the class is called.
pub const CLASS: &str = "azure-postgresql";
/// How long an instance takes to come.
pub const CREATION: Duration = Duration::from_secs(600);
/// How long it takes to go.
pub const REMOVAL: Duration = Duration::from_secs(120);

const COMING: [&str; 4] = [
    "creating resource group",
    "deploying Azure Database for PostgreSQL server",
    "configuring firewall rules",
    "creating database",
];
const GOING: [&str; 2] = ["dropping database", "deleting Azure Database for PostgreSQL server"];

/// The class with its plans `basic50` and `basic100`.
pub fn catalog() -> Catalog {
    let plan = |id: &str, units: u32| {
        json!({
            "id": id, "name": format!("basic{units}"), "free": false,
            "description": format!("Basic tier, {units} units"),
        })
    };
    let document = json!({"services": [{
        "id": "0fa4e1b0-0000-4000-8000-00000000a23e",
        "name": CLASS,
        "description": "Azure Database for PostgreSQL",
        "bindable": true,
        "plan_updateable": false,
        "tags": ["Azure", "PostgreSQL", "Database"],
        "plans": [
            plan("0fa4e1b0-0000-4000-8000-000000000050", 50),
            plan("0fa4e1b0-0000-4000-8000-000000000100", 100),
        ],
    }]});
    serde_json::from_value(document).expect("this catalogue is valid")
}

/// A broker with this catalogue. Instances come and go asynchronously, bindings at once.
pub fn settings(time: Time, backing: Arc<dyn Backing>) -> Settings {
    let work = |lasting, words: &[&str]| Work {
        pace: Pace::Lasting(lasting),
        progress: words.iter().map(|words| (*words).to_owned()).collect(),
        ..Work::default()
    };
    Settings {
        catalog: catalog(),
        provision: work(CREATION, &COMING),
        deprovision: work(REMOVAL, &GOING),
        dashboard_url: None,
        time,
        backing: Some(backing),
        ..Settings::default()
    }
}
